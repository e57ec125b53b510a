"""What tampering with events, texts and rows leaves behind."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, update

from consent.errors import ConsentError
from consent.events import GENESIS, Broken, Event, Intact, rebuild, verify_chain
from consent.history import (
    consent_by_id,
)
from consent.models import ConsentEvent, ConsentRecord, ShownText
from idp.database import Database
from tests.consent.registry import (
    BUDI,
)

pytestmark = pytest.mark.anyio


TAMPERINGS: list[tuple[dict[str, Any], int]] = [
    ({"granted": ["name"]}, 1),
    ({"at": datetime(2020, 1, 1, tzinfo=UTC)}, 1),
    ({"subject_id": BUDI}, 1),
    ({"text_sha256": None}, 1),
    ({"kind": "refused"}, 1),
    ({"reason": "asked to"}, 2),
    ({"actor": "nobody"}, 2),
    ({"kind": "expired"}, 2),
    ({"previous_hash": GENESIS}, 2),
    ({"hash": GENESIS}, 1),
    ({"hash": GENESIS}, 2),
]


@pytest.mark.parametrize(("edit", "seq"), TAMPERINGS)
async def test_an_edited_event_is_named(edit: dict[str, Any], seq: int, database: Database, withdrawn: str) -> None:
    async with database.transaction() as session:
        await session.execute(
            update(ConsentEvent).where(ConsentEvent.consent_id == withdrawn, ConsentEvent.seq == seq).values(**edit)
        )
    async with database.reading() as session:
        detail = await consent_by_id(session, withdrawn)

    assert isinstance(detail.chain, Broken)
    assert (detail.chain.event_id, detail.chain.seq) == (detail.events[seq - 1].id, seq)


async def test_an_event_edited_and_hashed_anew_breaks_the_one_after_it(database: Database, withdrawn: str) -> None:
    async with database.transaction() as session:
        first = (await consent_by_id(session, withdrawn)).events[0]
        forged = replace(first, granted=("name",))
        await session.execute(
            update(ConsentEvent)
            .where(ConsentEvent.id == first.id)
            .values(granted=["name"], hash=forged.computed_hash())
        )
        detail = await consent_by_id(session, withdrawn)

    assert detail.chain == Broken(detail.events[1].id, 2, "it does not follow the event before it")


@pytest.mark.parametrize(("removed", "seq", "named"), [(1, 2, True), (2, 2, False)])
async def test_a_removed_event_is_missed(
    removed: int, seq: int, named: bool, database: Database, withdrawn: str
) -> None:
    async with database.transaction() as session:
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
    refused = replace(granted, kind="refused")
    for impossible in ([], [ended], [granted, granted], [refused, ended], [granted, ended, ended]):
        with pytest.raises(ConsentError):
            rebuild(impossible)


async def test_an_event_of_another_consent_breaks_the_chain(story: tuple[Event, ...]) -> None:
    granted, ended = story
    moved = replace(ended, consent_id=BUDI)
    moved = replace(moved, hash=moved.computed_hash())

    assert verify_chain([granted, moved]) == Broken(moved.id, 2, "it belongs to another consent")
    assert verify_chain([]) == Intact(0, GENESIS)
