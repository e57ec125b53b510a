"""What others end: another party with its reason, an authority with its citation, a use that was to be the only one."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from consent.decisions import expire_after_use, expire_due, invalidate, pause, request, revoke, revoke_all, withdraw
from consent.errors import CannotFollow, DecisionRefused, UnknownConsent
from consent.models import ConsentRecord
from consent.purposes import PurposeVersionView
from consent.withdrawal.models import Delivery
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import BUDI, SITI, decision, grant_to, notice_of, write_registry
from tests.consent.stored import events, every_row_is_what_its_events_say, records
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio

Act = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture
async def given(database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy) -> str:
    """A consent of Siti's."""
    async with database.transaction() as session:
        return await grant_to(session, version, now=clock(), entropy=entropy)


async def end(database: Database, what: Act, consent_id: str, clock: FakeClock, entropy: Entropy, **more: Any) -> Any:
    """Ends a consent in a transaction of its own."""
    async with database.transaction() as session:
        return await what(session, consent_id=consent_id, now=clock(), entropy=entropy, **more)


@pytest.mark.parametrize(
    ("what", "says", "status"),
    [
        (revoke, {"actor": "officer", "reason": "the programme was stopped"}, "revoked"),
        (invalidate, {"actor": "court", "citation": "Putusan 12/PUU-XXIV/2026"}, "invalidated"),
    ],
)
@pytest.mark.parametrize("paused", [False, True])
async def test_another_party_ends_a_consent_and_says_why(
    what: Act,
    says: dict[str, str],
    status: str,
    paused: bool,
    given: str,
    database: Database,
    clock: FakeClock,
    entropy: Entropy,
) -> None:
    if paused:
        await end(database, pause, given, clock, entropy, subject_id=SITI)
    await end(database, what, given, clock, entropy, **says)
    (row,) = await records(database)
    assert (row.status, row.ended_at) == (status, clock())
    last = (await events(database, given))[-1]
    assert (last.kind, last.actor, last.reason) == (status, says["actor"], says.get("reason", says.get("citation")))
    async with database.reading() as session:
        assert (await session.scalars(select(Delivery.kind).where(Delivery.kind == status))).all() == [status]
    await every_row_is_what_its_events_say(database)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
async def test_an_end_by_somebody_else_has_a_reason(
    reason: str, given: str, database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    with pytest.raises(DecisionRefused, match="a reason"):
        await end(database, revoke, given, clock, entropy, actor="officer", reason=reason)
    with pytest.raises(DecisionRefused, match="a citation"):
        await end(database, invalidate, given, clock, entropy, actor="officer", citation=reason)
    with pytest.raises(DecisionRefused, match="a reason"):
        async with database.transaction() as session:
            await revoke_all(session, consent_ids=[given], actor="o", reason=reason, now=clock(), entropy=entropy)
    assert len(await events(database, given)) == 1


@pytest.mark.parametrize("consent_id", [BUDI, "no id"])
@pytest.mark.parametrize("what", [revoke, expire_after_use])
async def test_what_does_not_exist_does_not_end(
    what: Act, consent_id: str, database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    says = {"actor": "officer", "reason": "why"} if what is revoke else {}
    with pytest.raises(UnknownConsent):
        await end(database, what, consent_id, clock, entropy, **says)


async def test_what_has_ended_does_not_end_again(
    given: str, database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    await end(database, withdraw, given, clock, entropy, subject_id=SITI)
    with pytest.raises(CannotFollow, match="it is withdrawn"):
        await end(database, revoke, given, clock, entropy, actor="officer", reason="why")
    async with database.transaction() as session:
        assert await revoke_all(session, consent_ids=[given], actor="o", reason="w", now=clock(), entropy=entropy) == []
    assert (await records(database))[0].status == "withdrawn"


async def test_many_end_at_once_with_an_event_each_and_waiting_questions_with_them(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        ids = [
            await grant_to(session, version, subject_id=who, client_id=f"app-{n}", now=clock(), entropy=entropy)
            for who in (SITI, BUDI)
            for n in range(3)
        ]
        asked = await request(session, who=decision(version), notice=notice_of(version), now=clock(), entropy=entropy)
        ended = await revoke_all(
            session, consent_ids=[*ids, asked], actor="officer", reason="ended", now=clock.advance(1), entropy=entropy
        )
    assert sorted(ended) == sorted([*ids, asked])
    assert {row.status for row in await records(database)} == {"revoked"}
    async with database.reading() as session:
        told = (await session.scalars(select(Delivery.consent_id))).all()
    assert sorted(told) == sorted(ids), "of a question nobody has anything that they could stop using"
    await every_row_is_what_its_events_say(database)


@pytest.fixture
async def once(database: Database, clock: FakeClock, entropy: Entropy) -> str:
    """A consent of Siti's to one use."""
    async with database.transaction() as session:
        version = await write_registry(
            session, now=clock(), entropy=entropy, agency="sosial", code="bansos", fetch_type="onetime"
        )
        return await grant_to(session, version, now=clock(), entropy=entropy)


async def test_a_consent_to_one_use_ends_with_it(
    once: str, database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    assert (await records(database))[0].fetch_type == "onetime"
    await end(database, expire_after_use, once, clock, entropy)
    (row,) = await records(database)
    assert (row.status, row.ended_at) == ("expired", clock())
    last = (await events(database, once))[-1]
    assert (last.kind, last.actor, last.reason) == ("expired", "system", "used once, as agreed")
    with pytest.raises(CannotFollow):
        await end(database, expire_after_use, once, clock, entropy)
    await every_row_is_what_its_events_say(database)


async def test_a_consent_to_many_uses_does_not_end_with_one(
    given: str, database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    with pytest.raises(CannotFollow):
        await end(database, expire_after_use, given, clock, entropy)
    assert (await records(database))[0].status == "given"


async def test_time_ends_paused_and_renewed_consents_too_and_forgets_no_refusal(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        paused = await grant_to(session, version, now=clock(), entropy=entropy)
        await pause(session, consent_id=paused, subject_id=SITI, now=clock(), entropy=entropy)
    clock.advance(days=90)
    async with database.transaction() as session:
        assert await expire_due(session, now=clock(), entropy=entropy) == [paused]
    await every_row_is_what_its_events_say(database)


async def test_the_records_of_the_erased_are_left_alone(
    given: str, database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        await session.execute(update(ConsentRecord).values(erased_at=clock()))
    clock.advance(days=90)
    async with database.transaction() as session:
        assert await expire_due(session, now=clock(), entropy=entropy) == []
        assert await revoke_all(session, consent_ids=[given], actor="o", reason="w", now=clock(), entropy=entropy) == []
    with pytest.raises(UnknownConsent):
        await end(database, revoke, given, clock, entropy, actor="officer", reason="why")


async def test_who_received_less_by_a_newer_answer_is_told_what_is_gone(
    given: str, database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async def told() -> list[tuple[str, list[str]]]:
        async with database.reading() as session:
            rows = await session.execute(select(Delivery.kind, Delivery.items).order_by(Delivery.id))
            return [(row.kind, row.items) for row in rows]

    async with database.transaction() as session:
        await grant_to(session, version, granted=version.claims, now=clock.advance(1), entropy=entropy)
    assert await told() == []
    async with database.transaction() as session:
        await grant_to(session, version, granted={"name"}, now=clock.advance(1), entropy=entropy)
    assert await told() == [("superseded", ["email", "gender"])]


async def test_a_record_keeps_what_its_version_says_about_uses(
    database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        version = await write_registry(
            session, now=clock(), entropy=entropy, agency="sosial", code="bansos", use_limit=3, use_window_days=30
        )
        await grant_to(session, version, now=clock(), entropy=entropy)
    (row,) = await records(database)
    assert (row.fetch_type, row.use_limit, row.use_window_days, row.used) == ("periodic", 3, 30, 0)
    assert row.valid_until == clock() + timedelta(days=90)
    (event,) = await events(database, row.id)
    assert (event.fetch_type, event.use_limit, event.use_window_days) == ("periodic", 3, 30)
