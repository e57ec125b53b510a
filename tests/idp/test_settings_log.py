"""Settings of the log: what does not fit refuses to start, and says why."""

from pathlib import Path
from typing import Any

import pytest

from consent.log.errors import FormatRefused
from consent.log.signers import cosigner
from consent.log.vkey import VerifierKey
from idp.database import Database
from idp.log_witnesses import read_witness
from idp.running_log import open_log
from idp.settings import Settings
from tests.consent.log.running import some_keys
from tests.support.databases import only_sqlite
from tests.support.settings import settings_for

pytestmark = pytest.mark.anyio

WITNESS = str(cosigner("w.test", bytes(range(32))).vkey)
PRODUCTION: dict[str, Any] = {
    "mode": "production",
    "issuer": "https://masuk.example",
    "master_key": "x",
    "database_url": "postgresql+asyncpg://db/satupintu",
}


def secret(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def test_the_log_is_named_after_the_issuer() -> None:
    assert Settings(issuer="https://masuk.example").log_name == "masuk.example/log"
    assert Settings(issuer="http://localhost:8000/a").log_name == "localhost:8000/a/log"
    assert Settings(log_origin="catatan.example/1").log_name == "catatan.example/1"
    assert Settings(data_dir=Path("x")).log_state_path == Path("x/log-head")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"log_origin": "a b"}, "no spaces"),
        ({"log_origin": "a+b"}, "no plus"),
        ({"log_interval_ms": 5}, "greater than or equal to 20"),
        ({"log_witnesses": (WITNESS,)}, "a space, and the URL"),
        ({"log_witnesses": (f"{WITNESS} ftp://w.test",)}, "not the submission prefix"),
        ({"log_witnesses": (f"{WITNESS} http://w.test",)}, "not the submission prefix"),
        ({"log_witnesses": (f"{WITNESS[:-4]}AAA= https://w.test",)}, "not the vkey of a witness"),
        ({"log_witnesses": (f"{some_keys().ed25519.vkey} https://w.test",)}, "a log's and not a witness's"),
        ({**PRODUCTION, "log_witnesses": (f"{WITNESS} http://localhost:8010",)}, "over https only"),
    ],
)
def test_what_cannot_be_meant_refuses_to_start(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Settings(**settings)


def test_a_witness_on_this_machine_is_for_trying() -> None:
    read = read_witness(f"{WITNESS}  http://localhost:8010/ ")
    assert (read.key, read.url) == (VerifierKey.parse(WITNESS), "http://localhost:8010/")


@only_sqlite
async def test_the_policy_must_be_one_for_this_log(database: Database, database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "policy"
    settings = settings_for(database_url, tmp_path, log_policy_file=file)
    for text, why in (
        (None, "the policy cannot be read"),
        ("quorum somebody\n", "policy line 1"),
        (f"log {some_keys('other.test/log').ed25519.vkey}\nquorum none\n", "does not list this log"),
        (f"witness w {WITNESS} ftp://w.test\nquorum w\n", "not the submission prefix"),
    ):
        if text is not None:
            file.write_text(text)
        with pytest.raises(FormatRefused, match=why):
            await open_log(settings, database, secret)
    file.write_text(f"witness w {WITNESS} http://localhost:1\nquorum w\n")
    log = await open_log(settings, database, secret)
    assert log.rules.policy.in_words() == "w"
    # Nobody reads that setting in production but over https.
    with pytest.raises(FormatRefused, match="over https only"):
        await open_log(settings.model_copy(update={"mode": "production"}), database, secret)


@only_sqlite
async def test_witnesses_of_the_settings_are_asked_and_count_for_no_quorum(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    settings = settings_for(database_url, tmp_path, log_witnesses=(f"{WITNESS} http://localhost:1",))
    log = await open_log(settings, database, secret)
    assert [witness.url for witness in log.rules.policy.witnesses] == ["http://localhost:1"]
    assert log.rules.policy.met_by(())
    assert "quorum none" in log.policy_text()
    assert WITNESS in log.policy_text()
