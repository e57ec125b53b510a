"""Decisions made at the same moment leave one true story, on both databases."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from consent.decisions import Withdrawn, expire_due, withdraw
from consent.errors import NothingToWithdraw
from consent.models import ConsentRecord
from consent.purposes import PurposeVersionView
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import SITI, grant_to
from tests.consent.stored import events, every_row_is_what_its_events_say, records
from tests.support.clock import FakeClock
from tests.support.databases import only_postgresql

pytestmark = pytest.mark.anyio


async def test_the_database_itself_keeps_a_second_consent_in_force_out(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        first = await grant_to(session, version, now=clock(), entropy=entropy)
        await grant_to(session, version, now=clock(), entropy=entropy)
    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            await session.execute(update(ConsentRecord).where(ConsentRecord.id == first).values(status="given"))


async def all_at_once(work: Callable[[], Coroutine[Any, Any, Any]], times: int) -> list[Any]:
    return await asyncio.gather(*(work() for _ in range(times)), return_exceptions=True)


async def test_of_many_grants_at_once_one_is_in_force_and_none_fails(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async def give() -> str:
        async with database.transaction() as session:
            return await grant_to(session, version, now=clock(), entropy=entropy)

    answers = await all_at_once(give, 10)

    rows = await records(database)
    assert {row.id for row in rows} == set(answers)
    assert sorted(row.status for row in rows) == ["given"] + ["superseded"] * 9
    await every_row_is_what_its_events_say(database)


async def test_of_many_withdrawals_at_once_one_happens(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        consent_id = await grant_to(session, version, now=clock(), entropy=entropy)

    async def take_back() -> Withdrawn:
        async with database.transaction() as session:
            return await withdraw(session, consent_id=consent_id, subject_id=SITI, now=clock(), entropy=entropy)

    answers = await all_at_once(take_back, 8)

    assert [type(answer) for answer in answers if not isinstance(answer, NothingToWithdraw)] == [Withdrawn]
    assert [event.kind for event in await events(database, consent_id)] == ["granted", "withdrawn"]


async def test_grants_withdrawals_and_the_clock_at_once_leave_one_true_story(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        first = await grant_to(session, version, now=clock(), entropy=entropy)
    clock.advance(days=90)

    async def give() -> str:
        async with database.transaction() as session:
            return await grant_to(session, version, now=clock(), entropy=entropy)

    async def take_back() -> Withdrawn:
        async with database.transaction() as session:
            return await withdraw(session, consent_id=first, subject_id=SITI, now=clock(), entropy=entropy)

    async def sweep() -> list[str]:
        async with database.transaction() as session:
            return await expire_due(session, now=clock(), entropy=entropy)

    answers = await asyncio.gather(
        *(work() for _ in range(3) for work in (give, take_back, sweep)), return_exceptions=True
    )

    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(failure, NothingToWithdraw) for failure in failures), failures
    assert [row.status for row in await records(database)].count("given") == 1
    assert len(await events(database, first)) == 2
    await every_row_is_what_its_events_say(database)


@only_postgresql
async def test_two_sweepers_share_the_work_and_do_not_wait_for_each_other(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        for number in range(3):
            await grant_to(session, version, client_id=f"app-{number}", now=clock(), entropy=entropy)
    clock.advance(days=90)

    async with asyncio.timeout(20), database.transaction() as one, database.transaction() as other:
        first = await expire_due(one, now=clock(), entropy=entropy, limit=2)
        second = await expire_due(other, now=clock(), entropy=entropy, limit=2)

    assert (len(first), len(second)) == (2, 1)
    assert not set(first) & set(second)
    await every_row_is_what_its_events_say(database)
