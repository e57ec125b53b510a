"""What tampering with events, texts and rows leaves behind."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from consent.decisions import withdraw
from consent.errors import ConsentError
from consent.event_store import context_of
from consent.events import COMMITTED, GENESIS, OPEN, PERSONAL, Broken, Event, Intact, rebuild, verify_chain
from consent.history import consent_by_id
from consent.models import ConsentEvent, ConsentRecord, ShownText
from consent.purposes import PurposeVersionView
from consent.vault import PersonKey, key_of
from consent.withdrawal.models import Delivery
from idp.database import Database
from keys.encoding import canonical_json
from keys.entropy import Entropy
from tests.consent.registry import BUDI, SITI, grant_to
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio

NOBODY = str(UUID(int=9, version=4))


TAMPERINGS: list[tuple[dict[str, Any], int]] = [
    ({"at": datetime(2020, 1, 1, tzinfo=UTC)}, 1),
    ({"subject_id": BUDI}, 1),
    ({"subject_id": NOBODY}, 1),
    ({"subject_id": NOBODY}, 2),
    ({"client_id": "another"}, 1),
    ({"text_sha256": None}, 1),
    ({"kind": "refused"}, 1),
    ({"kind": "expired"}, 2),
    ({"channel": "paper"}, 2),
    ({"body": bytes(40)}, 1),
    ({"body": b""}, 2),
    ({"previous_hash": GENESIS}, 2),
    ({"hash": GENESIS}, 1),
    ({"hash": GENESIS}, 2),
]


@pytest.mark.parametrize(("edit", "seq"), TAMPERINGS)
async def test_an_edited_event_is_named(
    edit: dict[str, Any], seq: int, database: Database, withdrawn: str, clock: FakeClock
) -> None:
    async with database.transaction() as session:
        await key_of(session, BUDI, now=clock())
        await session.execute(
            update(ConsentEvent).where(ConsentEvent.consent_id == withdrawn, ConsentEvent.seq == seq).values(**edit)
        )
    async with database.reading() as session:
        detail = await consent_by_id(session, withdrawn)

    assert isinstance(detail.chain, Broken)
    assert (detail.chain.event_id, detail.chain.seq) == (detail.events[seq - 1].id, seq)


async def test_two_events_whose_bodies_were_exchanged_are_found(database: Database, withdrawn: str) -> None:
    async with database.transaction() as session:
        bodies = list(await session.scalars(select(ConsentEvent.body).order_by(ConsentEvent.seq)))
        for seq, body in enumerate(reversed(bodies), start=1):
            await session.execute(update(ConsentEvent).where(ConsentEvent.seq == seq).values(body=body))
        detail = await consent_by_id(session, withdrawn)
    assert isinstance(detail.chain, Broken)
    assert detail.chain.seq == 1


async def test_an_event_edited_sealed_and_committed_to_anew_breaks_the_one_after_it(
    database: Database, withdrawn: str, clock: FakeClock, entropy: Entropy
) -> None:
    """Whoever holds the keys as well can write an event that opens; the chain, and the log, remember the other."""
    async with database.transaction() as session:
        first = (await consent_by_id(session, withdrawn)).events[0]
        forged = replace(first, granted=("name",))
        key = await key_of(session, SITI, now=clock())
        body = key.seal(canonical_json(forged.personal_json()), context=context_of(first.id), entropy=entropy)
        await session.execute(
            update(ConsentEvent).where(ConsentEvent.id == first.id).values(body=body, hash=forged.computed_hash())
        )
        detail = await consent_by_id(session, withdrawn)

    assert detail.chain == Broken(detail.events[1].id, 2, "it does not follow the event before it")


@pytest.mark.parametrize(("removed", "seq", "named"), [(1, 2, True), (2, 2, False)])
async def test_a_removed_event_is_missed(
    removed: int, seq: int, named: bool, database: Database, withdrawn: str
) -> None:
    async with database.transaction() as session:
        await session.execute(delete(Delivery))  # whoever removes an event removes what points to it
        await session.execute(
            delete(ConsentEvent).where(ConsentEvent.consent_id == withdrawn, ConsentEvent.seq == removed)
        )
        detail = await consent_by_id(session, withdrawn)

    assert isinstance(detail.chain, Broken)
    assert detail.chain.seq == seq
    assert (detail.chain.event_id is not None) is named


async def test_an_edited_text_is_not_intact(database: Database, withdrawn: str) -> None:
    async with database.transaction() as session:
        await session.execute(update(ShownText).values(body=ShownText.body + " "))
        detail = await consent_by_id(session, withdrawn)
    assert [text.intact for text in detail.texts.values()] == [False]


async def test_a_row_that_says_otherwise_than_its_events_is_found(database: Database, withdrawn: str) -> None:
    async with database.transaction() as session:
        await session.execute(
            update(ConsentRecord).where(ConsentRecord.id == withdrawn).values(status="given", ended_at=None)
        )
        detail = await consent_by_id(session, withdrawn)
    assert rebuild(detail.events).status == "withdrawn"
    assert detail.consent.status == "given"


@pytest.fixture
async def story(database: Database, withdrawn: str) -> tuple[Event, ...]:
    """Granted, withdrawn."""
    async with database.reading() as session:
        return (await consent_by_id(session, withdrawn)).events


async def test_events_that_tell_no_possible_story_rebuild_nothing(story: tuple[Event, ...]) -> None:
    granted, ended = story
    refused = replace(granted, kind="refused", status="refused")
    paused = replace(granted, kind="paused", status="paused")
    resumed = replace(granted, kind="resumed", status="renewed")
    for impossible in (
        [],
        [ended],
        [granted, granted],
        [refused, ended],
        [granted, ended, ended],
        [replace(granted, status="renewed")],
        [granted, replace(paused, status="given")],
        [granted, paused, paused],
        [granted, resumed],
        [granted, paused, resumed],
        [granted, replace(granted, kind="changed", status="paused")],
        [replace(granted, erased=True)],
        [replace(granted, fault="damaged")],
        [replace(granted, kind="invented")],
    ):
        with pytest.raises(ConsentError):
            rebuild(impossible)


async def test_an_event_of_another_consent_breaks_the_chain(story: tuple[Event, ...]) -> None:
    granted, ended = story
    moved = replace(ended, consent_id=BUDI)
    moved = replace(moved, hash=moved.computed_hash())

    assert verify_chain([granted, moved]) == Broken(moved.id, 2, "it belongs to another consent")
    assert verify_chain([]) == Intact(0, GENESIS)


async def erase(database: Database, consent_id: str) -> None:
    """What erasing a person leaves of their consent, done by hand."""
    async with database.transaction() as session:
        await session.execute(update(PersonKey).where(PersonKey.subject_id == SITI).values(sealed=None))
        for table, row_id in ((ConsentEvent, ConsentEvent.consent_id), (ConsentRecord, ConsentRecord.id)):
            await session.execute(update(table).where(row_id == consent_id).values(subject_id=NOBODY))
        await session.execute(update(ConsentRecord).values(erased_at=datetime(2026, 9, 1, tzinfo=UTC)))


async def test_the_events_of_someone_who_was_erased_say_nothing_and_their_chain_still_holds(
    database: Database, withdrawn: str
) -> None:
    await erase(database, withdrawn)
    async with database.reading() as session:
        detail = await consent_by_id(session, withdrawn)
    assert detail.chain == Intact(2, detail.events[-1].hash, erased=True)
    for event in detail.events:
        assert event.erased
        assert (event.granted, event.refused, event.actor, event.reason, event.opening) == ((), (), "", None, None)
        with pytest.raises(ConsentError):
            event.computed_hash()


@pytest.mark.parametrize("seq", [1, 2])
async def test_a_link_between_events_that_cannot_be_opened_is_still_checked(
    seq: int, database: Database, withdrawn: str
) -> None:
    await erase(database, withdrawn)
    async with database.transaction() as session:
        await session.execute(update(ConsentEvent).where(ConsentEvent.seq == seq).values(previous_hash=bytes([1] * 32)))
        detail = await consent_by_id(session, withdrawn)
    assert isinstance(detail.chain, Broken)
    assert detail.chain.seq == seq


async def test_a_record_that_says_erased_while_its_events_still_speak_is_found(
    database: Database, withdrawn: str
) -> None:
    async with database.transaction() as session:
        await session.execute(update(ConsentRecord).values(erased_at=datetime(2026, 9, 1, tzinfo=UTC)))
        detail = await consent_by_id(session, withdrawn)
    assert detail.chain == Broken(detail.events[0].id, 1, "its person should be erased")


async def test_nothing_personal_of_an_event_is_readable_in_the_database(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    canary = "kanari-yang-sangat-pribadi"
    async with database.transaction() as session:
        consent_id = await grant_to(session, version, now=clock(), entropy=entropy)
        await withdraw(
            session, consent_id=consent_id, subject_id=SITI, reason=canary, now=clock.advance(1), entropy=entropy
        )
        rows = (await session.execute(select(*ConsentEvent.__table__.columns))).all()
    assert canary not in repr(rows)
    assert canary.encode() not in b"".join(row.body for row in rows)
    assert all("email" not in repr(row) and b"email" not in row.body for row in rows)
    assert set(OPEN) == set(ConsentEvent.__table__.columns.keys()) - {"body", "hash"}
    assert {*OPEN, *PERSONAL} == set(COMMITTED)
