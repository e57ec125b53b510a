"""What an operator does with the log from the shell."""

import asyncio
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from consent.log.note import Note
from consent.log.policy import Policy
from consent.log.proof import LogProof
from consent.log.sequencer import sequence_once
from consent.log.store import set_halted
from consent.log.verify import Trust
from consent.log.vkey import VerifierKey
from idp.cli import main
from idp.cli.context import opened
from idp.cli.log import FOUND, opened_log
from idp.clock import system_clock

AGENCY = (
    "agency", "create", "kemenkes", "--name", "Kementerian Kesehatan", "--name-en", "Ministry of Health",
    "--contact", "Jakarta", "--privacy-contact", "pdp@kemenkes.example", "--address", "Jalan Contoh 1, Jakarta",
)  # fmt: skip

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs a command as `satupintu` would; its exit code, what it said, and its errors."""
    monkeypatch.setenv("SATUPINTU_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SATUPINTU_ISSUER", "http://localhost:8000")
    monkeypatch.delenv("SATUPINTU_DATABASE_URL", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["satupintu", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    yield run
    structlog.reset_defaults()


def sequence() -> None:
    """What a running server would have done."""

    async def work() -> None:
        async with opened_log() as log:
            await sequence_once(transaction=log.context.database.transaction, log=log.log, clock=system_clock)

    asyncio.run(work())


@pytest.fixture
def agency_id(run: Run) -> str:
    """An agency in the registry, and in the log."""
    assert run("db", "upgrade")[0] == 0
    code, out, error = run(*AGENCY, "--json")
    assert code == 0, error
    sequence()
    return str(json.loads(out)["id"])


def event_of(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "data" / "satupintu.db") as database:
        ((event,),) = database.execute("SELECT id FROM consent_registry_events LIMIT 1").fetchall()
    database.close()
    raw = str(event)
    return raw if "-" in raw else f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


def alter(tmp_path: Path, statement: str) -> None:
    database = sqlite3.connect(tmp_path / "data" / "satupintu.db")
    with database:
        database.execute(statement)
    database.close()


def test_the_log_says_where_it_stands_and_by_which_keys_it_is_believed(run: Run, agency_id: str) -> None:
    code, out, _ = run("log", "status", "--json")
    status = json.loads(out)
    assert code == 0
    assert status["origin"] == "localhost:8000/log"
    assert status["size"] == status["served_size"] > 0
    assert (status["waiting"], status["stopped"], status["cosigned_by"]) == (0, None, [])
    code, out, _ = run("log", "keys")
    keys = [VerifierKey.parse(line) for line in out.splitlines()]
    assert {key.name for key in keys} == {"localhost:8000/log"}


def test_a_proof_and_a_consistency_proof_are_printed(run: Run, agency_id: str, tmp_path: Path) -> None:
    code, out, error = run("log", "proof", event_of(tmp_path))
    assert code == 0, error
    proof = LogProof.parse(out)
    assert proof.index == 0
    assert isinstance(proof.checkpoint, Note)
    assert run("log", "proof", "00000000-0000-7000-8000-000000000000")[0] == 1
    assert run("log", "proof", "no id at all")[0] == 1
    code, out, _ = run("log", "consistency", "0", "1", "--json")
    assert (code, json.loads(out)["new"]["size"]) == (0, 1)
    code, _, error = run("log", "consistency", "1", "99")
    assert (code, "the sizes go up to" in error) == (1, True)


def test_the_log_is_published_as_files(run: Run, agency_id: str, tmp_path: Path) -> None:
    code, out, error = run("log", "publish", str(tmp_path / "public"), "--json")
    assert code == 0, error
    assert json.loads(out)["tiles_written"] >= 2
    trust = json.loads((tmp_path / "public" / "trust.json").read_bytes())
    assert VerifierKey.parse(trust["log"]).name == "localhost:8000/log"
    assert Policy.parse(trust["policy"]).quorum == "none"
    if trust["receipts"]["keys"]:
        Trust.parse((tmp_path / "public" / "trust.json").read_bytes())


def test_the_audit_is_quiet_about_what_is_right_and_names_what_is_not(run: Run, agency_id: str, tmp_path: Path) -> None:
    code, out, error = run("log", "audit")
    assert code == 0, error
    assert "nothing: the database is as it was written" in out
    alter(tmp_path, "UPDATE consent_registry_events SET actor = 'somebody else'")
    code, out, _ = run("log", "audit", "--json", "--quiet")
    assert code == FOUND
    report = json.loads(out)
    assert not report["intact"]
    assert {(one["how"], one["row"]) for one in report["findings"]} == {("edited", event_of(tmp_path))}
    code, out, _ = run("log", "audit")
    assert code == FOUND
    assert f"edited: consent_registry_events {event_of(tmp_path)} (place 0 of the log)" in out


def test_a_checkpoint_that_others_kept_is_brought_along(run: Run, agency_id: str, tmp_path: Path) -> None:
    run("log", "publish", str(tmp_path / "public"))
    kept = tmp_path / "public" / "checkpoint"
    assert run("log", "audit", "--checkpoint", str(kept))[0] == 0
    kept.write_text(kept.read_text().replace("localhost:8000/log\n", "localhost:9000/log\n", 1))
    code, _, error = run("log", "audit", "--checkpoint", str(kept))
    assert (code, "checkpoint 1 that was brought along" in error) == (1, True)


def test_a_stopped_log_is_let_go_on_with_a_reason(run: Run, agency_id: str, tmp_path: Path) -> None:
    assert run("log", "resume", "--reason", "x")[0] == 1

    async def halt() -> None:
        async with opened() as context, context.database.transaction() as session:
            await set_halted(session, "a witness knows more", now=context.now)

    asyncio.run(halt())
    assert "a witness knows more" in run("log", "status")[1]
    assert run("log", "resume")[0] == 2, "a reason is needed"
    assert run("log", "resume", "--reason", "that witness was set up wrongly")[0] == 0
    assert json.loads(run("log", "status", "--json")[1])["stopped"] is None


def test_an_older_copy_refuses_to_serve_and_says_how_to_go_on(run: Run, agency_id: str, tmp_path: Path) -> None:
    run("log", "status")
    assert (tmp_path / "data" / "log-head").exists()
    for table in ("entries", "tiles", "checkpoints", "heads"):
        alter(tmp_path, f"DELETE FROM consent_log_{table}")
    code, _, error = run("serve", "--port", "0")
    assert code == 1
    assert "the database is an older copy; see docs/operate/log.md" in error
    assert len(error.splitlines()) == 1
    assert json.loads(run("log", "status", "--json")[1])["stopped"] is not None


def test_another_log_begins_with_what_is_left(run: Run, agency_id: str, tmp_path: Path) -> None:
    code, out, error = run("log", "begin", "localhost:8000/log/2", "--reason", "the newest part is lost", "--json")
    assert code == 0, error
    assert json.loads(out)["before"] == "localhost:8000/log"
    code, _, error = run("serve", "--port", "0")
    assert (code, "move that file away" in error) == (1, True)
    (tmp_path / "data" / "log-head").rename(tmp_path / "old-head")
    assert json.loads(run("log", "status", "--json")[1])["origin"] == "localhost:8000/log/2"
    assert run("log", "audit")[0] == 0
