"""What an operator does from the shell, from an empty folder to a running registry."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from idp.cli import main
from idp.cli.output import show_rows
from idp.demo.world import PURPOSES

Run = Callable[..., "Result"]
PURPOSE = {name: value for name, value in PURPOSES[0].items() if name not in {"agency", "code"}}
AGENCY = (
    "agency", "create", "kemenkes", "--name", "Kementerian Kesehatan", "--name-en", "Ministry of Health",
    "--contact", "Jakarta", "--privacy-contact", "pdp@kemenkes.example",
)  # fmt: skip
PASSWORD = "kuda-besi-terbang-tinggi"


class Result:
    """How a command ended, and what it said."""

    def __init__(self, code: int, out: str, error: str) -> None:
        self.code = code
        self.out = out
        self.error = error

    @property
    def json(self) -> Any:
        """The answer for programs. Error: `AssertionError` unless the command succeeded."""
        assert self.code == 0, self.error
        return json.loads(self.out)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs a command as `satupintu` would, on a database in an empty folder."""
    monkeypatch.setenv("SATUPINTU_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SATUPINTU_ISSUER", "http://localhost:8000")
    monkeypatch.delenv("SATUPINTU_DATABASE_URL", raising=False)

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["satupintu", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Result(int(ended.value.code or 0), said.out, said.err)

    yield run
    structlog.reset_defaults()


@pytest.fixture
def registry(run: Run, tmp_path: Path) -> Run:
    """A database with one agency and one purpose."""
    file = tmp_path / "purpose.json"
    file.write_text(json.dumps(PURPOSE), encoding="utf-8")
    assert run("db", "upgrade").code == 0
    assert run(*AGENCY).code == 0
    created = run("purpose", "create", "kunjungan-puskesmas", "--agency", "kemenkes", "--file", str(file))
    assert created.code == 0, created.error
    return run


def register(run: Run, *more: str) -> Result:
    """Registers an app of the agency."""
    return run(
        "client", "create", "Sehat", "--agency", "kemenkes", "--purpose", "kunjungan-puskesmas",
        "--redirect-uri", "https://sehat.example/callback", *more, "--json",
    )  # fmt: skip


def test_an_empty_folder_becomes_a_database_with_keys_and_stays_as_it_is(run: Run) -> None:
    before = run("db", "check")
    assert before.code == 1
    assert before.error.count("\n") == 1
    assert run("db", "upgrade", "--json").json["keys_made"] is True
    assert run("db", "upgrade", "--json").json["keys_made"] is False
    assert run("db", "check").code == 0
    assert {key["alg"] for key in run("keys", "list", "--json").json} == {"RS256", "PS256", "ES256", "EdDSA", "Ed25519"}


def test_a_rotation_begins_with_a_pending_key_and_the_signing_key_cannot_be_retired(run: Run) -> None:
    run("db", "upgrade")
    signing = next(key["kid"] for key in run("keys", "list", "--json").json if key["alg"] == "ES256")
    pending = run("keys", "rotate", "ES256", "--json").json
    states = {key["kid"]: key["state"] for key in run("keys", "list", "--json").json}
    assert (states[signing], states[pending["kid"]]) == ("signing", "pending")
    refused = run("keys", "retire", signing)
    assert refused.code == 1
    assert refused.error.startswith("satupintu: ")
    assert run("keys", "retire", signing, "--force").code == 0
    states = {key["kid"]: key["state"] for key in run("keys", "list", "--json").json}
    assert (states[signing], states[pending["kid"]]) == ("retired", "signing")


def test_an_app_is_registered_shown_given_a_new_secret_and_disabled(registry: Run) -> None:
    created = register(registry).json
    client_id, secret = created["client_id"], created["client_secret"]
    assert len(secret) >= 43
    shown = registry("client", "show", client_id)
    assert secret not in shown.out
    assert "sha256" not in shown.out
    fresh = registry("client", "rotate-secret", client_id, "--json").json["client_secret"]
    assert fresh != secret
    assert registry("client", "disable", client_id, "--json").json["status"] == "disabled"
    assert [client["status"] for client in registry("client", "list", "--json").json] == ["disabled"]


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--redirect-uri", "https://sehat.example/a#b"), "redirect_uris"),
        (("--redirect-uri", "http://sehat.example/a"), "redirect_uris"),
        (("--redirect-uri", "javascript:alert(1)"), "redirect_uris"),
        (("--auth-method", "none"), "token_endpoint_auth_method"),
        (("--id-token-alg", "none"), "id_token_signed_response_alg"),
        (("--grant", "password"), "grant_types"),
        (("--purpose", "another"), "purpose_codes"),
        (("--agency", "nobody"), "nobody"),
    ],
)
def test_a_registration_that_breaks_a_rule_is_refused_by_its_member(
    registry: Run, more: tuple[str, ...], named: str
) -> None:
    refused = register(registry, *more)
    assert refused.code == 1
    assert named in refused.error
    assert refused.error.count("\n") == 1
    assert registry("client", "list", "--json").json == []


def test_a_purpose_changes_only_by_a_new_version(registry: Run, tmp_path: Path) -> None:
    file = tmp_path / "purpose.json"
    again = registry("purpose", "create", "kunjungan-puskesmas", "--agency", "kemenkes", "--file", str(file))
    assert again.code == 1
    file.write_text(json.dumps({**PURPOSE, "retention_days": 30}), encoding="utf-8")
    second = registry("purpose", "create", "kunjungan-puskesmas", "--agency", "kemenkes", "--file", str(file), "--json")
    assert second.json["version"] == 2
    file.write_text("{", encoding="utf-8")
    broken = registry("purpose", "create", "other", "--agency", "kemenkes", "--file", str(file))
    assert (broken.code, "is not JSON" in broken.error) == (1, True)
    file.write_text(json.dumps({**PURPOSE, "texts": {"id": PURPOSE["texts"]["id"]}}), encoding="utf-8")
    half = registry("purpose", "create", "other", "--agency", "kemenkes", "--file", str(file))
    assert half.code == 1
    assert [purpose["code"] for purpose in registry("purpose", "list", "--json").json] == ["kunjungan-puskesmas"]


def test_a_person_is_made_given_a_role_and_disabled(run: Run) -> None:
    run("db", "upgrade")
    made = run("citizen", "create", "Ratna", "--name", "Ratna Dewi", "--password", PASSWORD, "--json").json
    assert made["username"] == "ratna"
    assert run("role", "grant", "ratna", "privacy_officer").code == 0
    assert run("role", "revoke", "ratna", "privacy_officer").code == 0
    assert run("citizen", "disable", "ratna", "--json").json["disabled_at"]
    assert run("citizen", "enable", "ratna", "--json").json["disabled_at"] is None
    assert run("citizen", "set-password", "ratna", "--password", "ratna-ratna").code == 1
    assert run("citizen", "set-password", "ratna", "--password", PASSWORD[::-1]).code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("citizen", "create", "siti", "--name", "Siti", "--password", "rahasia"),
        ("citizen", "disable", "nobody"),
        ("role", "grant", "nobody", "privacy_officer"),
        ("client", "show", "nobody"),
        ("client", "rotate-secret", "nobody"),
        ("keys", "retire", "nobody"),
        ("demo", "info", "--data-dir", "nowhere"),
    ],
)
def test_a_refusal_is_one_clear_line_and_a_non_zero_exit(run: Run, arguments: tuple[str, ...]) -> None:
    run("db", "upgrade")
    refused = run(*arguments)
    assert refused.code == 1
    assert refused.out == ""
    assert refused.error.startswith("satupintu: ")
    assert refused.error.count("\n") == 1
    assert "Traceback" not in refused.error


def test_serve_refuses_an_old_schema_and_several_processes_on_sqlite(run: Run) -> None:
    assert "satupintu db upgrade" in run("serve").error
    run("db", "upgrade")
    assert "PostgreSQL" in run("serve", "--workers", "2").error


def test_unsafe_settings_refuse_to_start_and_say_why(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATUPINTU_MODE", "production")
    refused = run("db", "check")
    assert (refused.code, "production needs an https issuer" in refused.error) == (1, True)


def test_a_misspelt_setting_is_one_line_and_no_default(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATUPINTU_ISUER", "https://masuk.example")
    refused = run("db", "check")
    assert (refused.code, refused.error) == (1, "satupintu: there is no setting SATUPINTU_ISUER\n")


@pytest.mark.parametrize("columns", [80, 30])
def test_a_table_keeps_ids_whole_and_names_in_one_language(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [{"kid": "k" * 43, "client_id": "c" * 30, "names": {"id": "Dinas", "en": "Office"}, "status": "live"}]
    show_rows(rows, columns=("kid", "client_id", "names", "status"), as_json=False, empty="-")
    shown = capsys.readouterr().out
    assert "k" * 43 in shown
    assert "c" * 30 in shown
    assert "Office" not in shown
    show_rows(rows, columns=("names",), as_json=True, empty="-")
    assert json.loads(capsys.readouterr().out)[0]["names"]["en"] == "Office"


def test_every_command_has_help(run: Run) -> None:
    pages: list[tuple[str, ...]] = [
        (),
        *((group,) for group in ("db", "keys", "client", "purpose", "agency", "citizen", "role", "demo")),
    ]
    pages += [("serve",), ("keys", "rotate"), ("client", "create"), ("purpose", "create"), ("demo", "run")]
    for page in pages:
        shown = run(*page, "--help")
        assert shown.code == 0
        assert "Usage: " in shown.out


def test_the_console_script_and_the_module_are_the_same_program() -> None:
    script = Path(sys.executable).with_name("satupintu")
    by_script = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    by_module = subprocess.run([sys.executable, "-m", "idp", "--help"], capture_output=True, text=True, check=True)
    assert by_script.stdout.split("\n", 2)[2] == by_module.stdout.split("\n", 2)[2]
