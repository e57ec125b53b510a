"""Who may be erased, when, and in which order; and that a crash between two steps loses nothing."""

from datetime import datetime

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.erasure.entries import Erased, as_entry
from consent.erasure.errors import ErasureRefused, HoldRefused
from consent.erasure.holds import holds_of, lift_hold, place_hold
from consent.erasure.models import Erasure, ErasureEntry, Hold
from consent.erasure.person import (
    SETTLED,
    Order,
    Progress,
    advance_erasure,
    erase_person,
    kept_until,
    progress_of,
    waits_for,
)
from consent.erasure.rows import NAMES
from consent.event_store import events_of
from consent.log.entry import Kind
from consent.log.models import LogEntry
from consent.models import Base, ConsentRecord
from consent.uses.models import Use
from consent.vault import PersonKey, key_of, keys_of
from consent.withdrawal.models import Delivery
from tests.consent.erasure.conftest import KEEP, WAIT, Country
from tests.consent.registry import BUDI, SITI

pytestmark = pytest.mark.anyio

ORDER = Order(citation="Penetapan 12/Pdt.P/2026/PN Contoh")


async def erase(country: Country, subject_id: str = SITI, order: Order | None = ORDER) -> Progress:
    """Asks for it, and does what can be done at once."""
    return await erase_person(
        country.database.transaction,
        subject_id,
        keep=KEEP,
        wait=WAIT,
        requested_by="operator",
        order=order,
        now=country.clock(),
        entropy=country.entropy,
        limit=2,
    )


async def step(country: Country) -> int:
    """One step of whichever erasure is next."""
    async with country.database.transaction() as session:
        return await advance_erasure(session, now=country.clock(), entropy=country.entropy, limit=2)


async def has_key(country: Country, subject_id: str = SITI) -> bool:
    """Whether a person's key is there."""
    async with country.database.reading() as session:
        return subject_id in await keys_of(session, [subject_id])


async def entries(country: Country) -> list[Erased]:
    """What was written down, oldest first."""
    async with country.database.reading() as session:
        rows = await session.scalars(select(ErasureEntry).order_by(ErasureEntry.at, ErasureEntry.id))
        return [as_entry(row) for row in rows]


async def test_proof_that_the_law_wants_kept_is_not_erased_on_request(country: Country) -> None:
    given = await country.consent(SITI)
    with pytest.raises(ErasureRefused, match="kept until"):
        await erase(country, order=None)
    assert await has_key(country)
    # A refusal changes nothing: the consent is in force as before.
    async with country.database.reading() as session:
        assert await session.scalar(select(ConsentRecord.status).where(ConsentRecord.id == given)) == "given"
        assert await session.scalar(select(func.count()).select_from(Erasure)) == 0
        assert await kept_until(session, SITI, keep=KEEP, now=country.clock()) == country.clock() + KEEP.evidence


async def test_once_the_proof_need_not_be_kept_a_request_is_enough(country: Country) -> None:
    given = await country.consent(SITI)
    await country.use(SITI, given)
    async with country.database.transaction() as session:
        await session.execute(update(ConsentRecord).values(status="withdrawn", ended_at=country.clock()))
    country.clock.advance(seconds=KEEP.evidence.total_seconds() - 1)
    with pytest.raises(ErasureRefused):
        await erase(country, order=None)
    country.clock.advance(seconds=1)
    progress = await erase(country, order=None)
    assert progress.destroyed_at == country.clock()
    assert not await has_key(country)


async def test_a_recent_use_is_proof_too(country: Country) -> None:
    async with country.database.transaction() as session:
        await key_of(session, SITI, now=country.clock())
    await country.use(SITI, None)
    country.clock.advance(seconds=KEEP.uses.total_seconds() - 1)
    with pytest.raises(ErasureRefused):
        await erase(country, order=None)
    country.clock.advance(seconds=1)
    assert (await erase(country, order=None)).destroyed_at is not None


async def test_a_hold_stands_above_an_order(country: Country) -> None:
    await country.consent(SITI)
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
    with pytest.raises(ErasureRefused, match="12/G/2026"):
        await erase(country)
    async with country.database.transaction() as session:
        await lift_hold(session, hold_id, lifted_by="ratna", now=country.clock())
        assert await holds_of(session, SITI) == []
        with pytest.raises(HoldRefused):
            await lift_hold(session, hold_id, lifted_by="ratna", now=country.clock())
    assert (await erase(country)).waits_for == 1


async def test_a_hold_that_comes_while_recipients_are_told_still_saves_the_proof(country: Country) -> None:
    await country.consent(SITI)
    await erase(country)
    async with country.database.transaction() as session:
        await place_hold(
            session,
            subject_id=SITI,
            reason="a dispute",
            citation="12/G/2026",
            placed_by="ratna",
            now=country.clock(),
            entropy=country.entropy,
        )
    await country.told()
    assert await step(country) == 0
    assert await has_key(country)


@pytest.mark.parametrize(("reason", "citation"), [("", "x"), ("x", ""), ("x" * 501, "x"), ("x\u202e", "x")])
async def test_a_hold_says_why_and_by_what(country: Country, reason: str, citation: str) -> None:
    await country.consent(SITI)
    async with country.database.transaction() as session:
        with pytest.raises(HoldRefused):
            await place_hold(
                session,
                subject_id=SITI,
                reason=reason,
                citation=citation,
                placed_by="ratna",
                now=country.clock(),
                entropy=country.entropy,
            )


async def test_of_whom_nothing_is_kept_nothing_is_erased(country: Country) -> None:
    with pytest.raises(ErasureRefused, match="nothing is kept"):
        await erase(country, BUDI)
    async with country.database.transaction() as session:
        with pytest.raises(HoldRefused, match="nothing is kept"):
            await place_hold(
                session,
                subject_id=BUDI,
                reason="x",
                citation="x",
                placed_by="ratna",
                now=country.clock(),
                entropy=country.entropy,
            )


async def test_recipients_are_told_before_the_name_by_which_they_know_the_person_is_gone(country: Country) -> None:
    given = await country.consent(SITI)
    progress = await erase(country)
    assert (progress.waits_for, progress.destroyed_at) == (1, None)
    async with country.database.reading() as session:
        status, erased = (
            await session.execute(
                select(ConsentRecord.status, ConsentRecord.erased_at).where(ConsentRecord.id == given)
            )
        ).one()
        assert (status, erased) == ("revoked", None)
        assert await session.scalar(select(func.count()).select_from(Delivery)) == 1
        # What ended it says by which act, under her key, as long as that is there.
        last = (await events_of(session, given))[-1]
        assert (last.kind, last.actor, last.reason) == ("revoked", "authority", ORDER.citation)
    assert await step(country) == 0
    with pytest.raises(ErasureRefused, match="already"):
        await erase(country)
    await country.told()
    assert await step(country) > 0
    assert not await has_key(country)


async def test_those_who_never_answer_are_not_waited_for_for_ever(country: Country) -> None:
    await country.consent(SITI)
    await erase(country)
    country.clock.advance(seconds=WAIT.total_seconds() - 1)
    assert await step(country) == 0
    country.clock.advance(seconds=1)
    assert await step(country) > 0
    assert not await has_key(country)


async def test_what_rests_on_a_consent_ends_with_it(country: Country) -> None:
    consents = {await country.consent(SITI), await country.consent(SITI, client_id="sekolah")}
    ended: list[str] = []

    async def after(_session: AsyncSession, consent_id: str, _now: datetime) -> None:
        ended.append(consent_id)

    await erase_person(
        country.database.transaction,
        SITI,
        keep=KEEP,
        wait=WAIT,
        requested_by="operator",
        order=ORDER,
        after_ending=after,
        now=country.clock(),
        entropy=country.entropy,
    )
    assert set(ended) == consents


async def test_each_step_is_written_down_and_logged_without_a_word_of_whom(country: Country) -> None:
    for app in ("a", "b", "c"):
        await country.consent(SITI, client_id=app)
    await country.told()
    progress = await erase(country)
    await country.told()
    while await step(country):
        pass
    written = await entries(country)
    assert sorted((entry.rows for entry in written), key=lambda rows: sum(rows.values())) == [
        {"consent_person_keys": 1},
        {"consent_records": 1, "consent_events": 2},
        {"consent_records": 2, "consent_events": 4},
    ]
    assert {entry.citation for entry in written if "consent_person_keys" in entry.rows} == {ORDER.citation}
    assert {entry.erasure_id for entry in written} == {progress.erasure_id}
    async with country.database.reading() as session:
        leaves = await session.scalars(select(LogEntry.id).where(LogEntry.kind == int(Kind.ERASURE)))
        assert set(leaves) == {entry.id for entry in written}
    assert SITI not in str([entry.as_json() for entry in written])


async def test_what_was_being_written_when_the_key_went_is_found_too(country: Country) -> None:
    """A transaction that had read the key commits after it was destroyed."""
    given = await country.consent(SITI)
    await erase(country)
    await country.told()
    late = await country.use(SITI, given)
    while await step(country):
        pass
    async with country.database.transaction() as session:
        await session.execute(update(Use).where(Use.id == late).values(subject_id=SITI))
    assert await country.where(SITI) == ["consent_erasures.subject_id", "consent_uses.subject_id"]
    country.clock.advance(seconds=SETTLED.total_seconds())
    while await step(country):
        pass
    assert await country.where(SITI) == []


async def test_one_erasure_that_waits_keeps_no_other_from_going_on(country: Country) -> None:
    await country.consent(SITI)
    await country.consent(BUDI)
    hers, his = await erase(country, SITI), await erase(country, BUDI)
    async with country.database.transaction() as session:
        theirs = select(ConsentRecord.id).where(ConsentRecord.subject_id == BUDI)
        await session.execute(update(Delivery).where(Delivery.consent_id.in_(theirs)).values(sent_at=country.clock()))
    for _ in range(2):
        while await step(country):
            pass
        country.clock.advance(seconds=SETTLED.total_seconds())
    async with country.database.reading() as session:
        assert (await progress_of(session, his.erasure_id)).finished_at is not None
        assert (await progress_of(session, hers.erasure_id)).destroyed_at is None
        assert await waits_for(session, SITI) == 1
        with pytest.raises(ErasureRefused):
            await progress_of(session, SITI)


async def test_those_for_whom_the_erased_acted_keep_what_was_decided(country: Country) -> None:
    child = await country.consent(BUDI)
    await country.consent(SITI)
    async with country.database.transaction() as session:
        await session.execute(update(ConsentRecord).where(ConsentRecord.id == child).values(representative_id=SITI))
    await erase(country)
    await country.told()
    while await step(country):
        pass
    async with country.database.reading() as session:
        row = (await session.execute(select(ConsentRecord).where(ConsentRecord.id == child))).scalar_one()
    assert (row.subject_id, row.representative_id, row.status) == (BUDI, None, "given")
    assert row.granted == ["email", "name"]


def test_no_column_that_names_a_person_is_forgotten() -> None:
    named = {f"{column.table.name}.{column.name}" for column in (one.property.columns[0] for one in NAMES)}
    own_way = {
        # Under another name once erased, blanked with the record, and forgotten at the end.
        f"{PersonKey.__tablename__}.subject_id",
        f"{ConsentRecord.__tablename__}.subject_ref",
        f"{Erasure.__tablename__}.subject_id",
    }
    found = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if "subject" in column.name or "representative" in column.name or column.name in {"sub", "account_id"}
    }
    assert found == named | own_way
    assert f"{Hold.__tablename__}.subject_id" in named
