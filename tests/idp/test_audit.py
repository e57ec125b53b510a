"""The audit: complete, harmless to read, and without a secret in it."""

from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from idp.audit import AuditEvent, AuditKind, clean, record
from idp.database import Database
from idp.errors import PageRefusal
from keys.entropy import SystemEntropy, new_id
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio
ENTROPY = SystemEntropy()


async def test_an_event_is_a_row_and_a_line(database: Database, clock: FakeClock) -> None:
    person = new_id(ENTROPY)
    with capture_logs() as lines:
        async with database.transaction() as session:
            event_id = await record(
                session,
                AuditKind.LOGIN_SUCCEEDED,
                now=clock(),
                entropy=ENTROPY,
                account_id=person,
                client_id="clinic",
                address="203.0.113.9",
                detail={"amr": ["pwd"]},
            )
    async with database.reading() as session:
        event = (await session.scalars(select(AuditEvent))).one()
    assert (event.id, event.at, event.kind, event.account_id) == (event_id, clock(), "login.succeeded", person)
    assert (event.client_id, event.address, event.detail) == ("clinic", "203.0.113.9", {"amr": ["pwd"]})
    assert lines[0]["event"] == "login.succeeded"
    assert lines[0]["account_id"] == person
    assert lines[0]["audit_id"] == event_id


async def test_a_refusal_that_leaves_the_transaction_keeps_its_event(database: Database, clock: FakeClock) -> None:
    async def refuse() -> None:
        async with database.transaction() as session:
            await record(session, AuditKind.LOGIN_REFUSED, now=clock(), entropy=ENTROPY)
            raise PageRefusal("no")

    with pytest.raises(PageRefusal):
        await refuse()
    async with database.reading() as session:
        assert (await session.scalars(select(AuditEvent.kind))).all() == ["login.refused"]


@pytest.mark.threat("N91")
async def test_no_line_break_gets_through_and_nul_does_not_break_the_database(
    database: Database, clock: FakeClock
) -> None:
    forged = "x\r\n2026-01-01 login.succeeded\x00\u202e\u202d\u2028\x1b[31m"
    with capture_logs() as lines:
        async with database.transaction() as session:
            await record(
                session,
                AuditKind.LOGIN_REFUSED,
                now=clock(),
                entropy=ENTROPY,
                client_id=forged,
                address=forged,
                detail={"said": forged, forged: [forged]},
            )
    async with database.reading() as session:
        event = (await session.scalars(select(AuditEvent))).one()
    for text in (str(event.client_id), str(event.address), *event.detail, event.detail["said"], str(lines[0])):
        assert text.isprintable()


@pytest.mark.threat("N91")
@pytest.mark.parametrize(
    "name", ["password", "client_secret", "access_token", "code", "Authorization", "id_token_hint"]
)
def test_what_is_called_a_secret_is_not_kept(name: str) -> None:
    kept = clean({"outer": [{name: "CANARY"}], "fine": 1})
    assert "CANARY" not in repr(kept)
    assert kept["fine"] == 1


@pytest.mark.parametrize(
    "value", ["x" * 100_000, list(range(100_000)), {str(n): n for n in range(100_000)}, [[[[[["deep"]]]]]]]
)
def test_an_event_has_a_bounded_size(value: Any) -> None:
    assert len(repr(clean({"value": value}))) < 1000


def test_ordinary_words_in_any_script_stay_as_they_are() -> None:
    for word in ("Ani Lestari", "Café", "渋谷", "ᬩᬮᬶ", "-12.5 °C"):
        assert clean(word) == word
