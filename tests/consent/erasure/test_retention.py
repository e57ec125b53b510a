"""What the clock erases: each rule at its moment and not a second before, written down, and logged."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update

from consent.decisions import refuse, request, withdraw
from consent.erasure.entries import as_entry, horizons, totals
from consent.erasure.holds import lift_hold, place_hold
from consent.erasure.models import ErasureEntry, Hold
from consent.erasure.retention import RULES, Periods, apply_rule, first_id_of
from consent.event_store import events_of
from consent.log.entry import Kind
from consent.log.findings import How
from consent.log.models import LogEntry
from consent.models import ConsentEvent, ConsentRecord, OfficerAction, ShownText
from consent.uses.models import Use, UseBatch
from consent.vault import key_of, keys_of
from keys.entropy import new_row_id
from tests.consent.erasure.conftest import Country
from tests.consent.registry import BUDI, SITI, decision, grant_to, notice_of
from tests.support.databases import only_postgresql

pytestmark = pytest.mark.anyio

PERIODS = Periods(evidence=timedelta(days=1825), uses=timedelta(days=1095), refusals=timedelta(days=365))
RULE = {rule.name: rule for rule in RULES}
SECOND = timedelta(seconds=1)


async def apply(country: Country, name: str, *, limit: int = 100) -> int:
    """One batch of one rule."""
    async with country.database.transaction() as session:
        return await apply_rule(session, RULE[name], PERIODS, now=country.clock(), entropy=country.entropy, limit=limit)


async def all_rules(country: Country) -> dict[str, int]:
    """Every rule, until nothing is due."""
    done: dict[str, int] = {}
    for name in RULE:
        while number := await apply(country, name, limit=2):
            done[name] = done.get(name, 0) + number
    return done


async def count(country: Country, table: Any) -> int:
    """How many rows a table has."""
    async with country.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def take_back(country: Country, consent_id: str, subject_id: str = SITI) -> None:
    """The person withdraws."""
    async with country.database.transaction() as session:
        await withdraw(
            session, consent_id=consent_id, subject_id=subject_id, now=country.clock(), entropy=country.entropy
        )


async def say_no(country: Country, subject_id: str = SITI) -> str:
    """The person refuses."""
    async with country.database.transaction() as session:
        return await refuse(
            session,
            who=decision(country.version, subject_id=subject_id),
            refused=country.version.claims,
            notice=notice_of(country.version),
            now=country.clock(),
            entropy=country.entropy,
        )


async def row_of(country: Country, consent_id: str) -> ConsentRecord:
    """A consent's row."""
    async with country.database.reading() as session:
        return (await session.execute(select(ConsentRecord).where(ConsentRecord.id == consent_id))).scalar_one()


async def test_a_use_is_deleted_when_its_time_has_come_and_not_before(country: Country) -> None:
    given = await country.consent(SITI)
    for _ in range(3):
        await country.use(SITI, given)
    country.clock.advance(seconds=(PERIODS.uses - SECOND).total_seconds())
    young = await country.use(SITI, given)
    assert await apply(country, "uses") == 0
    country.clock.advance(seconds=1.001)
    assert await apply(country, "uses", limit=2) == 2
    assert await apply(country, "uses", limit=2) == 1
    assert await apply(country, "uses", limit=2) == 0
    async with country.database.reading() as session:
        assert list(await session.scalars(select(Use.id))) == [young]
        # The log keeps all its leaves.
        leaves = select(func.count()).select_from(LogEntry).where(LogEntry.kind == int(Kind.ACCESS))
        assert await session.scalar(leaves) == 4


async def test_the_monitor_excuses_what_a_rule_deleted_and_nothing_else(country: Country) -> None:
    given = await country.consent(SITI)
    await country.use(SITI, given)
    await country.running.sequence()
    country.clock.advance(seconds=PERIODS.uses.total_seconds() + 1)
    young = await country.use(SITI, given)
    assert await apply(country, "uses") == 1
    await country.running.sequence()
    assert (await country.audit()).findings == []
    async with country.database.transaction() as session:
        await session.execute(delete(Use).where(Use.id == young))
    assert [(one.how, one.row) for one in (await country.audit()).findings] == [(How.DELETED, young)]


async def test_a_consent_that_ended_is_shredded_and_its_chain_holds(country: Country) -> None:
    given, standing = await country.consent(SITI), await country.consent(SITI, client_id="sekolah")
    await take_back(country, given)
    await country.running.sequence()
    country.clock.advance(seconds=(PERIODS.evidence - SECOND).total_seconds())
    assert await apply(country, "ended") == 0
    country.clock.advance(seconds=1.001)
    assert await apply(country, "ended") == 3
    row = await row_of(country, given)
    assert (row.status, row.granted, row.refused, row.subject_ref) == ("withdrawn", [], [], None)
    assert row.subject_id != SITI
    assert row.erased_at == country.clock()
    async with country.database.reading() as session:
        events = await events_of(session, given)
        assert [event.erased for event in events] == [True, True]
        bodies = select(ConsentEvent.body, ConsentEvent.text_sha256).where(ConsentEvent.consent_id == given)
        assert {tuple(one) for one in await session.execute(bodies)} == {(b"", None)}
        # Her other consent, and her key, are as they were.
        assert [event.erased for event in await events_of(session, standing)] == [False]
        assert SITI in await keys_of(session, [SITI])
    await country.running.sequence()
    assert (await country.audit()).findings == []


async def test_a_consent_stays_readable_as_long_as_one_of_its_uses_is_kept(country: Country) -> None:
    given = await country.consent(SITI)
    await take_back(country, given)
    country.clock.advance(seconds=PERIODS.evidence.total_seconds() + 1)
    await country.use(SITI, given)
    assert await apply(country, "ended") == 0
    country.clock.advance(seconds=PERIODS.uses.total_seconds() + 1)
    assert await apply(country, "uses") == 1
    assert await apply(country, "ended") > 0


async def test_a_no_is_forgotten_some_time_after_it_stopped_being_remembered(country: Country) -> None:
    refused = await say_no(country)
    remembered_until = (await row_of(country, refused)).valid_until
    assert remembered_until is not None
    country.clock.set(remembered_until + PERIODS.refusals)
    assert await apply(country, "refusals") == 0
    country.clock.advance(seconds=1)
    assert await apply(country, "refusals") > 0
    assert (await row_of(country, refused)).refused == []


async def test_a_question_that_nobody_answered_goes_too(country: Country) -> None:
    async with country.database.transaction() as session:
        asked = await request(
            session,
            who=decision(country.version),
            notice=notice_of(country.version),
            now=country.clock(),
            entropy=country.entropy,
        )
    country.clock.advance(seconds=(PERIODS.refusals - SECOND).total_seconds())
    assert await apply(country, "questions") == 0
    country.clock.advance(seconds=1.001)
    assert await apply(country, "questions") > 0
    assert (await row_of(country, asked)).erased_at is not None


async def test_with_a_persons_last_row_their_key_goes_and_they_may_come_back(country: Country) -> None:
    given = await country.consent(SITI)
    await take_back(country, given)
    await country.look(SITI)
    country.clock.advance(seconds=PERIODS.evidence.total_seconds() + 1)
    await apply(country, "ended")
    async with country.database.reading() as session:
        old = (await keys_of(session, [SITI]))[SITI]
    # The look still names her.
    assert await apply(country, "looks") == 2
    assert await country.where(SITI) == []
    async with country.database.transaction() as session:
        assert await keys_of(session, [SITI]) == {}
        new = await key_of(session, SITI, now=country.clock())
    assert new.opening("x") != old.opening("x")
    again = await country.consent(SITI)
    assert (await row_of(country, again)).status == "given"


@only_postgresql
async def test_a_key_does_not_go_while_somebody_is_writing_with_it(country: Country) -> None:
    await take_back(country, await country.consent(SITI))
    country.clock.advance(seconds=PERIODS.evidence.total_seconds() + 1)
    async with country.database.transaction() as session:
        await key_of(session, SITI, now=country.clock())
        erasing = asyncio.create_task(apply(country, "ended"))
        await asyncio.sleep(0.5)
        assert not erasing.done()
        again = await grant_to(session, country.version, now=country.clock(), entropy=country.entropy)
    assert await erasing == 3
    async with country.database.reading() as session:
        assert [event.erased for event in await events_of(session, again)] == [False]


async def test_what_an_officer_did_stays_when_whom_they_looked_for_goes(country: Country) -> None:
    await country.consent(BUDI)
    look = await country.look(BUDI, reason="Budi called")
    await country.running.sequence()
    country.clock.advance(seconds=PERIODS.evidence.total_seconds() + 1)
    assert await apply(country, "looks") == 1
    async with country.database.reading() as session:
        row = (await session.execute(select(OfficerAction).where(OfficerAction.id == look))).scalar_one()
    assert (row.subject_id, row.reason, row.action) == (None, None, "find")
    await country.running.sequence()
    assert (await country.audit()).findings == []
    # A second run finds nothing more to do.
    assert await apply(country, "looks") == 0


async def test_a_text_goes_when_nothing_refers_to_it_any_more(country: Country) -> None:
    given = await country.consent(SITI)
    await take_back(country, given)
    country.clock.advance(seconds=PERIODS.evidence.total_seconds() + 1)
    assert await apply(country, "texts") == 0
    await apply(country, "ended")
    assert await apply(country, "texts") == 1
    assert await count(country, ShownText) == 0


async def test_a_report_goes_with_the_last_of_its_uses(country: Country) -> None:
    batch_id, use_id = new_row_id(country.entropy, country.clock()), await country.use(SITI, None)
    async with country.database.transaction() as session:
        await session.execute(
            insert(UseBatch).values(
                id=batch_id,
                agency_id=country.version.agency_id,
                client_id="lab",
                idempotency_key="k",
                sha256=bytes(32),
                accepted=1,
                answer={},
                received_at=country.clock(),
            )
        )
        await session.execute(update(Use).where(Use.id == use_id).values(batch_id=batch_id))
    country.clock.advance(seconds=PERIODS.uses.total_seconds() + 1)
    assert await apply(country, "batches") == 0
    await apply(country, "uses")
    assert await apply(country, "batches") == 1


async def test_a_hold_keeps_every_rule_from_a_person(country: Country) -> None:
    given = await country.consent(SITI)
    await country.use(SITI, None)
    await country.look(SITI)
    await take_back(country, given)
    no = await say_no(country)
    other = await country.consent(BUDI)
    await take_back(country, other, BUDI)
    async with country.database.transaction() as session:
        hold_id = await place_hold(
            session,
            subject_id=SITI,
            reason="a dispute",
            citation="12/G/2026",
            placed_by="ratna",
            now=country.clock(),
            entropy=country.entropy,
        )
    country.clock.advance(seconds=2 * PERIODS.evidence.total_seconds())
    await all_rules(country)
    assert (await row_of(country, given)).granted == ["email", "name"]
    assert (await row_of(country, no)).erased_at is None
    assert (await row_of(country, other)).erased_at is not None
    assert await count(country, Use) == 1
    async with country.database.transaction() as session:
        await lift_hold(session, hold_id, lifted_by="ratna", now=country.clock())
    country.clock.advance(seconds=PERIODS.evidence.total_seconds() + 1)
    await all_rules(country)
    assert await count(country, Hold) == 0
    assert await country.where(SITI, BUDI) == []


async def test_each_batch_is_written_down_and_is_a_leaf(country: Country) -> None:
    for app in ("a", "b", "c"):
        await take_back(country, await country.consent(SITI, client_id=app))
    country.clock.advance(seconds=PERIODS.evidence.total_seconds() + 1)
    while await apply(country, "ended", limit=2):
        pass
    async with country.database.reading() as session:
        rows = [as_entry(row) for row in await session.scalars(select(ErasureEntry))]
        leaves = set(await session.scalars(select(LogEntry.id).where(LogEntry.kind == int(Kind.ERASURE))))
        assert await totals(session) == {"consent_records": 3, "consent_events": 6, "consent_person_keys": 1}
        assert await horizons(session) == {}
    assert sorted(row.rows["consent_records"] for row in rows) == [1, 2]
    assert {row.rule for row in rows} == {"ended"}
    assert {row.before for row in rows} == {country.clock() - PERIODS.evidence}
    assert leaves == {row.id for row in rows}


async def test_every_rule_says_what_it_does(country: Country) -> None:
    assert [rule.name for rule in RULES] == [
        "uses",
        "refusals",
        "questions",
        "ended",
        "looks",
        "batches",
        "holds",
        "texts",
    ]
    for rule in RULES:
        assert rule.rows
        assert rule.after
        assert rule.done
        assert rule.kept(PERIODS) in {PERIODS.evidence, PERIODS.uses, PERIODS.refusals}
    assert await all_rules(country) == {}
    assert await count(country, ErasureEntry) == 0


async def test_ids_of_a_moment_come_after_its_first(country: Country) -> None:
    now = country.clock()
    assert first_id_of(now) <= new_row_id(country.entropy, now)
    assert new_row_id(country.entropy, now - timedelta(milliseconds=1)) < first_id_of(now)
