"""What an operator does about withdrawals from the shell: streams, the board, suspended apps, endings."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from joserfc.jwk import ECKey
from typer.testing import CliRunner

from idp.cli import app
from idp.cli.output import Refused
from idp.logs import configure_logs

Run = Callable[..., Any]
AGENCY = (
    "agency", "create", "kemenkes", "--name", "Kementerian Kesehatan", "--name-en", "Ministry of Health",
    "--contact", "Jakarta", "--privacy-contact", "pdp@kemenkes.example", "--address", "Jalan Contoh 1, Jakarta",
)  # fmt: skip
CLIENT = ("client", "create", "Sehat", "--agency", "kemenkes", "--client-id", "sehat", "--grant", "client_credentials")
ENDPOINT = "https://sehat.example.go.id/events"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a command on a database with an agency and an app. Its JSON, or `Refused` with the line that says why."""
    monkeypatch.setenv("SATUPINTU_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("SATUPINTU_DATABASE_URL", raising=False)

    def run(*arguments: str) -> Any:
        done = CliRunner().invoke(app, arguments)
        if isinstance(done.exception, Refused):
            raise done.exception
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    configure_logs(level=logging.WARNING)
    run("db", "upgrade")
    run(*AGENCY)
    run(*CLIENT, "--scope", "reports:read")
    yield run
    structlog.reset_defaults()


def test_a_stream_from_its_beginning_to_its_end(run: Run, tmp_path: Path) -> None:
    header = tmp_path / "header"
    header.write_text("Bearer a-secret-of-the-apps\n", encoding="utf-8")
    added = run(
        "stream", "add", "--client", "sehat", "--endpoint", ENDPOINT, "--authorization-file", str(header), "--json"
    )
    assert (added["delivery"], added["endpoint"], added["has_authorization"]) == ("push", ENDPOINT, True)
    assert "a-secret-of-the-apps" not in json.dumps(run("stream", "list", "--json"))
    assert run("stream", "pause", "--client", "sehat", "--json")["status"] == "paused"
    assert run("stream", "resume", "--client", "sehat", "--json")["status"] == "enabled"
    assert run("stream", "add", "--agency", "kemenkes", "--json")["delivery"] == "poll"
    assert len(run("stream", "list", "--json")) == 2
    run("stream", "remove", "--client", "sehat")
    with pytest.raises(Refused, match="no such stream"):
        run("stream", "remove", "--client", "sehat")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--client", "sehat", "--endpoint", "http://sehat.example.go.id/"), "not https"),
        (("--client", "sehat", "--endpoint", "https://10.0.0.1/"), "not public"),
        (("--client", "nobody", "--endpoint", ENDPOINT), "there is no app"),
        (("--agency", "nobody"), "no agency"),
        (("--endpoint", ENDPOINT), "either an app"),
        (("--client", "sehat", "--agency", "kemenkes"), "either an app"),
    ],
)
def test_a_stream_that_cannot_be_is_refused_with_what_to_change(run: Run, arguments: tuple[str, ...], why: str) -> None:
    with pytest.raises(Refused, match=why):
        run("stream", "add", *arguments)


def test_the_board_is_empty_before_anybody_withdrew(run: Run) -> None:
    assert run("withdrawal", "board", "--json") == []
    assert "Nobody has to stop anything." in run("withdrawal", "board")
    with pytest.raises(Refused, match="the state is one of"):
        run("withdrawal", "board", "--state", "gone")
    with pytest.raises(Refused, match="no delivery"):
        run("withdrawal", "show", "0198b3c2-4d5e-7f60-8123-456789abcdef")


def test_an_ending_is_counted_proposed_by_one_and_approved_by_another(run: Run) -> None:
    assert run("ending", "preview", "--client", "sehat", "--json")["consents"] == 0
    proposed = run("ending", "propose", "--client", "sehat", "--reason", "It is closed.", "--by", "Ratna", "--json")
    with pytest.raises(Refused, match="somebody else approves"):
        run("ending", "approve", proposed["id"], "--by", "ratna")
    approved = run("ending", "approve", proposed["id"], "--by", "Bambang", "--json")
    assert (approved["status"], approved["approved_by"]) == ("running", "Bambang")
    assert run("client", "show", "sehat", "--json")["status"] == "disabled"
    assert [one["id"] for one in run("ending", "list", "--json")] == [proposed["id"]]


def test_an_app_is_reinstated_with_a_reason(run: Run) -> None:
    with pytest.raises(Refused, match="not suspended"):
        run("withdrawal", "reinstate", "sehat", "--by", "Ratna", "--reason", "They have put it right.")
    run("client", "disable", "sehat")
    with pytest.raises(Refused, match="give a reason"):
        run("withdrawal", "reinstate", "sehat", "--by", "Ratna", "--reason", " ")
    done = run("withdrawal", "reinstate", "sehat", "--by", "Ratna", "--reason", "They have put it right.", "--json")
    assert done == {"client_id": "sehat", "status": "live"}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--client", "sehat", "--agency", "kemenkes"),
        ("--client", "nobody"),
        ("--agency", "nobody"),
        ("--purpose", "nothing", "--version", "1"),
        ("--agreement", "nothing", "--version", "1"),
    ],
)
def test_what_is_not_named_or_not_there_cannot_be_counted(run: Run, arguments: tuple[str, ...]) -> None:
    with pytest.raises(Refused):
        run("ending", "preview", *arguments)


def test_an_app_gets_the_scope_and_the_key_that_attesting_needs(run: Run, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"}, auto_kid=True)
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}), encoding="utf-8")
    changed = run("client", "change", "sehat", "--add-scope", "consent:events", "--jwks", str(keys), "--json")
    assert changed["scopes"] == ["reports:read", "consent:events"]
    assert changed["jwks"]["keys"][0]["kid"] == key.kid
    keys.write_text(json.dumps({"keys": [key.as_dict(private=True)]}), encoding="utf-8")
    for arguments in (("--jwks", str(keys)), ("--add-scope", "two words"), ("--add-scope", "profile"), ()):
        with pytest.raises(Refused):
            run("client", "change", "sehat", *arguments)
    assert run("client", "show", "sehat", "--json")["scopes"] == ["reports:read", "consent:events"]
