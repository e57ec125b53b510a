"""What an operator does from the shell, from an empty folder to a running registry."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from consent.registry.review import CODES
from idp.cli import main
from idp.cli.output import show_rows
from idp.demo.registry import PURPOSES

Run = Callable[..., "Result"]
PURPOSE = {name: value for name, value in PURPOSES[0].items() if name not in {"agency", "code"}}
AGENCY = (
    "agency", "create", "kemenkes", "--name", "Kementerian Kesehatan", "--name-en", "Ministry of Health",
    "--contact", "Jakarta", "--privacy-contact", "pdp@kemenkes.example", "--address", "Jalan Contoh 1, Jakarta",
)  # fmt: skip
ANSWERS = {"confirmed": sorted(CODES), "public_task_applies": False, "public_task_reason": "No law demands it."}
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
    """A database with one agency and one purpose, in force."""
    (tmp_path / "answers.json").write_text(json.dumps(ANSWERS), encoding="utf-8")
    assert run("db", "upgrade").code == 0
    assert run(*AGENCY).code == 0
    proposed = propose(run, tmp_path, PURPOSE)
    assert proposed.code == 0, proposed.error
    for side, by in (("agency", "Hendra"), ("operator", "Lukman")):
        approved = approve(run, tmp_path, side=side, by=by)
        assert approved.code == 0, approved.error
    return run


def propose(run: Run, folder: Path, says: object, *more: str, code: str = "kunjungan-puskesmas") -> Result:
    """Proposes what a file says."""
    file = folder / "purpose.json"
    file.write_text(says if isinstance(says, str) else json.dumps(says), encoding="utf-8")
    return run("purpose", "propose", code, "--agency", "kemenkes", "--file", str(file), "--by", "Dewi", *more)


def approve(run: Run, folder: Path, *more: str, side: str, by: str) -> Result:
    """Approves the newest version of the purpose."""
    answers = ("--answers", str(folder / "answers.json"))
    return run("purpose", "approve", "kunjungan-puskesmas", "--side", side, "--by", by, *answers, *more)


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
    assert propose(registry, tmp_path, PURPOSE).code == 1
    silent = propose(registry, tmp_path, {**PURPOSE, "retention_days": 30})
    assert (silent.code, "compatible_with must say" in silent.error) == (1, True)
    second = propose(registry, tmp_path, {**PURPOSE, "retention_days": 30, "compatible_with": [1]}, "--json")
    assert (second.json["version"], second.json["status"]) == (2, "proposed")
    broken = propose(registry, tmp_path, "{", code="other")
    assert (broken.code, "is not JSON" in broken.error) == (1, True)
    half = propose(registry, tmp_path, {**PURPOSE, "texts": {"id": PURPOSE["texts"]["id"]}}, code="other")
    assert half.code == 1
    listed = registry("purpose", "list", "--json").json
    assert [(purpose["code"], purpose["version"]) for purpose in listed] == [("kunjungan-puskesmas", 1)]
    every = registry("purpose", "list", "--all", "--json").json
    assert [(purpose["version"], purpose["status"]) for purpose in every] == [(2, "proposed"), (1, "active")]


def test_a_purpose_is_reviewed_and_approved_by_two_others(registry: Run, tmp_path: Path) -> None:
    propose(registry, tmp_path, {**PURPOSE, "retention_days": 30, "compatible_with": []}, "--draft")
    early = approve(registry, tmp_path, side="agency", by="Hendra")
    assert (early.code, "is draft" in early.error) == (1, True)
    assert registry("purpose", "submit", "kunjungan-puskesmas", "--by", "Dewi").code == 0
    examined = registry("purpose", "review", "kunjungan-puskesmas", "--json").json
    assert (examined["missing"], examined["findings"]) == (None, [])
    assert set(examined["checklist"]) == CODES
    own = approve(registry, tmp_path, side="agency", by="DEWI")
    assert (own.code, "two others approve" in own.error) == (1, True)
    assert approve(registry, tmp_path, "--json", side="agency", by="Hendra").json["status"] == "proposed"
    again = approve(registry, tmp_path, side="operator", by=" hendra".strip())
    assert (again.code, "approved already" in again.error) == (1, True)
    assert approve(registry, tmp_path, "--json", side="operator", by="Lukman").json["status"] == "active"
    history = registry("purpose", "history", "kunjungan-puskesmas", "--json").json
    assert [event["kind"] for event in history] == ["drafted", "proposed", "approved", "approved", "activated"]
    assert registry("registry", "check").code == 0


def test_a_proposal_is_rejected_with_a_reason(registry: Run, tmp_path: Path) -> None:
    propose(registry, tmp_path, {**PURPOSE, "retention_days": 30, "compatible_with": []})
    rejected = registry("purpose", "reject", "kunjungan-puskesmas", "--by", "Hendra", "--reason", "Too long", "--json")
    assert rejected.json["status"] == "rejected"
    assert registry("purpose", "reject", "kunjungan-puskesmas", "--by", "Hendra", "--reason", "Again").code == 1


def test_who_approves_in_a_console_is_the_same_person_in_a_shell(registry: Run, tmp_path: Path) -> None:
    registry("citizen", "create", "ratna", "--name", "Ratna Dewi", "--password", PASSWORD)
    propose(registry, tmp_path, {**PURPOSE, "retention_days": 30, "compatible_with": []})
    assert approve(registry, tmp_path, side="agency", by="ratna").code == 0
    by_name = approve(registry, tmp_path, side="operator", by="ratna dewi")
    assert (by_name.code, "approved already" in by_name.error) == (1, True)


def test_an_agency_is_changed_suspended_and_reinstated(registry: Run) -> None:
    changed = registry("agency", "change", "kemenkes", "--phone", "+62 21 5550001", "--json")
    assert changed.json["phone"] == "+62 21 5550001"
    why = ("--by", "ratna", "--reason", "Data was found on the street")
    assert registry("agency", "suspend", "kemenkes", *why, "--json").json["status"] == "suspended"
    assert registry("agency", "suspend", "kemenkes", *why).code == 1
    assert registry("agency", "reinstate", "kemenkes", *why, "--json").json["status"] == "active"
    kinds = [event["kind"] for event in registry("agency", "history", "kemenkes", "--json").json]
    assert kinds == ["registered", "changed", "suspended", "reinstated"]
    assert registry("registry", "check").code == 0


def test_data_flows_from_one_agency_to_another_by_an_agreement(registry: Run, tmp_path: Path) -> None:
    item = registry(
        "attribute", "register", "family_card_number", "--agency", "dukcapil", "--label", "Nomor kartu keluarga",
        "--label-en", "Family card number", "--category", "family", "--dpv", "https://w3id.org/dpv/pd#OfficialID",
    )  # fmt: skip
    assert (item.code, "no agency" in item.error) == (1, True)
    provider = ["dukcapil" if word == "kemenkes" else word for word in AGENCY]
    assert registry(*provider).code == 0
    claim = registry(
        "attribute", "register", "family_card_number", "--agency", "dukcapil", "--label", "Nomor kartu keluarga",
        "--label-en", "Family card number", "--category", "family", "--dpv", "https://w3id.org/dpv/pd#OfficialID",
        "--json",
    ).json["claim"]  # fmt: skip
    why = {"id": "Untuk keluarga", "en": "For the family"}
    items = [*PURPOSE["items"], {"claim": claim, "required": False, "why": why}]
    assert propose(registry, tmp_path, {**PURPOSE, "items": items, "compatible_with": []}).code == 0
    assert approve(registry, tmp_path, side="agency", by="Hendra").code == 0
    alone = approve(registry, tmp_path, side="operator", by="Lukman")
    assert (alone.code, "no agreement in force covers" in alone.error) == (1, True)
    file = tmp_path / "agreement.json"
    says = {
        "instrument": {"kind": "decree", "number": "1/2026", "title": "Data", "date": "2026-01-02"},
        "items": [claim],
        "valid_from": "2026-01-02T00:00:00+07:00",
        "valid_until": "2035-01-02T00:00:00+07:00",
        "data_life_days": 365,
    }
    file.write_text(json.dumps(says), encoding="utf-8")
    registered = registry(
        "agreement", "propose", "keluarga", "--provider", "dukcapil", "--purpose", "kunjungan-puskesmas",
        "--file", str(file), "--by", "Dewi", "--json",
    )  # fmt: skip
    assert registered.json["status"] == "proposed"
    for side, by in (("provider", "Maya"), ("recipient", "Hendra")):
        agreed = registry("agreement", "approve", "keluarga", "--side", side, "--by", by, "--json")
    assert agreed.json["status"] == "active"
    assert approve(registry, tmp_path, "--json", side="operator", by="Lukman").json["status"] == "active"
    assert [one["code"] for one in registry("agreement", "list", "--json").json] == ["keluarga"]
    assert registry("agreement", "show", "keluarga", "--json").json["says"]["items"] == [claim]
    assert [one["source"] for one in registry("attribute", "list", "--json").json][-1] == "dukcapil"
    assert registry("registry", "check").code == 0


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
        *(
            (group,)
            for group in (
                "db",
                "keys",
                "client",
                "purpose",
                "agency",
                "attribute",
                "agreement",
                "registry",
                "citizen",
                "role",
                "demo",
            )
        ),
    ]
    pages += [("serve",), ("keys", "rotate"), ("client", "create"), ("purpose", "propose"), ("demo", "run")]
    for page in pages:
        shown = run(*page, "--help")
        assert shown.code == 0
        assert "Usage: " in shown.out


def test_the_console_script_and_the_module_are_the_same_program() -> None:
    script = Path(sys.executable).with_name("satupintu")
    by_script = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    by_module = subprocess.run([sys.executable, "-m", "idp", "--help"], capture_output=True, text=True, check=True)
    assert by_script.stdout.split("\n", 2)[2] == by_module.stdout.split("\n", 2)[2]
