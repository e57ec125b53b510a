"""What an operator does about receipts and erasure from the shell."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.erasure.person import advance_erasure
from consent.models import ConsentRecord
from consent.receipts.compose import Addresses
from consent.receipts.receipt import events_up_to, sign_receipt
from consent.withdrawal.models import Delivery
from idp.accounts.directory import require_account
from idp.cli import main
from idp.cli.context import Context, opened
from tests.consent.registry import grant_to, write_registry

Run = Callable[..., tuple[int, str, str]]
PASSWORD = "kuda-besi-terbang-tinggi"


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


def answer(run: Run, *arguments: str) -> Any:
    """What a command answers to programs."""
    code, out, error = run(*arguments, "--json")
    assert code == 0, error
    return json.loads(out)


def refusal(run: Run, *arguments: str) -> str:
    """The one line with which a command refuses."""
    code, _, error = run(*arguments)
    assert code == 1
    assert len(error.splitlines()) == 1
    return error


def in_database(work: Callable[[Context, AsyncSession], Coroutine[Any, Any, Any]]) -> Any:
    """Does something in one transaction of the operator's database."""

    async def done() -> Any:
        async with opened() as context, context.database.transaction() as session:
            return await work(context, session)

    return asyncio.run(done())


@pytest.fixture
def consent_id(run: Run) -> str:
    """The consent of a citizen `siti`."""
    assert run("db", "upgrade")[0] == 0
    assert run("citizen", "create", "siti", "--name", "Siti", "--password", PASSWORD)[0] == 0

    async def agree(context: Context, session: AsyncSession) -> str:
        account = await require_account(session, "siti")
        version = await write_registry(session, now=context.now, entropy=context.entropy)
        return await grant_to(session, version, now=context.now, entropy=context.entropy, subject_id=account.id)

    return str(in_database(agree))


def test_the_first_key_for_receipts_is_made_with_the_database_and_can_be_replaced(run: Run) -> None:
    assert run("db", "upgrade")[0] == 0
    (first,) = answer(run, "receipt", "keys")
    assert first["state"] == "signing"
    second = answer(run, "receipt", "rotate-key")["kid"]
    assert {key["kid"]: key["state"] for key in answer(run, "receipt", "keys")} == {
        first["kid"]: "verifying",
        second: "signing",
    }
    answer(run, "receipt", "revoke-key", second)
    states = {key["kid"]: key["state"] for key in answer(run, "receipt", "keys")}
    assert (states[first["kid"]], states[second]) == ("verifying", "revoked")
    assert sorted(states.values()) == ["revoked", "signing", "verifying"]
    for unknown in ("another", "-another"):
        assert f"no key for receipts has the kid {unknown}" in refusal(run, "receipt", "revoke-key", unknown)


def test_a_receipt_is_converted_only_if_we_signed_it(run: Run, consent_id: str, tmp_path: Path) -> None:
    async def issue(context: Context, session: AsyncSession) -> dict[str, Any]:
        receipt = await sign_receipt(
            session,
            await events_up_to(session, consent_id),
            addresses=Addresses(base="http://localhost:8000"),
            origin="localhost/log",
            now=context.now,
            entropy=context.entropy,
        )
        return {"whole": receipt.file(), "record": receipt.signed_record()}

    issued = in_database(issue)
    for name, file in issued.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(file), encoding="utf-8")
        code, out, error = run("receipt", "convert", str(path), "--format", "kantara")
        assert code == 0, error
        assert json.loads(out)["version"] == "KI-CR-v1.1.0"
    header, claims, signature = issued["whole"]["receipt"].split(".")
    forged = {**issued["whole"], "receipt": f"{header}.{claims[:-4]}AAAA.{signature}"}
    path.write_text(json.dumps(forged), encoding="utf-8")
    assert "no receipt of this provider" in refusal(run, "receipt", "convert", str(path), "--format", "kantara")
    path.write_text("{}", encoding="utf-8")
    assert "no receipt" in refusal(run, "receipt", "convert", str(path), "--format", "oauth")
    assert "formats are" in refusal(run, "receipt", "convert", str(path), "--format", "pdf")


def test_the_rules_are_there_to_read(run: Run) -> None:
    assert run("db", "upgrade")[0] == 0
    rules = {rule["rule"]: rule["days"] for rule in answer(run, "erase", "rules")}
    assert (rules["uses"], rules["ended"], rules["refusals"]) == (1825, 1825, 365)


def test_a_person_is_erased_by_order_after_everybody_was_told(run: Run, consent_id: str) -> None:
    assert "--yes" in refusal(run, "erase", "person", "siti")
    assert "kept until" in refusal(run, "erase", "person", "siti", "--yes")
    # Refused means that nothing happened: the account is open, and the consent in force.
    assert standing(consent_id) == ("given", None)

    hold = answer(run, "erase", "hold", "siti", "--reason", "a dispute", "--citation", "12/G/2026")["hold"]
    assert "12/G/2026" in refusal(run, "erase", "person", "siti", "--order", "7/Pdt.P/2026", "--yes")
    assert [one["hold"] for one in answer(run, "erase", "holds", "siti")] == [hold]
    answer(run, "erase", "lift", hold)

    told = answer(run, "erase", "person", "siti", "--order", "7/Pdt.P/2026", "--yes")
    assert (told["waits_for"], told["destroyed_at"]) == (1, None)
    status, disabled = standing(consent_id)
    assert status == "revoked"
    assert disabled is not None
    assert [one["erasure"] for one in answer(run, "erase", "list")] == [told["erasure"]]

    async def deliver_and_erase(context: Context, session: AsyncSession) -> int:
        await session.execute(update(Delivery).values(sent_at=context.now))
        return await advance_erasure(session, now=context.now, entropy=context.entropy)

    assert in_database(deliver_and_erase) == 1
    (left,) = answer(run, "erase", "list")
    assert left["destroyed_at"] is not None


def standing(consent_id: str) -> tuple[str, Any]:
    """How the consent stands, and when the account was closed."""

    async def look(_context: Context, session: AsyncSession) -> tuple[str, Any]:
        status = await session.scalar(select(ConsentRecord.status).where(ConsentRecord.id == consent_id))
        return str(status), (await require_account(session, "siti")).disabled_at

    found: tuple[str, Any] = in_database(look)
    return found
