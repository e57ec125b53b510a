from pathlib import Path

import pytest
from sqlalchemy import update

from consent.log.models import LogCheckpoint
from consent.log.sequencer import sequence
from consent.log.store import Damaged, Head, head_of, make_head, narrowed, swap_head, thin_out
from consent.log.tiles import ENTRIES, Tile, encode_bundle
from idp.database import Database
from tests.consent.log.running import RunningLog, checkpoints_of, open_log
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def log(database: Database, tmp_path: Path, clock: FakeClock) -> RunningLog:
    return open_log(database, tmp_path, clock)


async def test_the_head_is_swapped_only_from_what_was_read(database: Database, clock: FakeClock) -> None:
    async with database.transaction() as session:
        first = await make_head(session, "a.test/log", now=clock())
    second = Head("a.test/log", 5, bytes([5]) * 32)
    third = Head("a.test/log", 9, bytes([9]) * 32)
    async with database.transaction() as session:
        assert await swap_head(session, first, second, now=clock())
        assert not await swap_head(session, first, third, now=clock())
        other_root = Head("a.test/log", 5, bytes(32))
        assert not await swap_head(session, other_root, third, now=clock()), "the size alone is not the tree"
        assert await swap_head(session, second, third, now=clock())
        assert await head_of(session) == third


def test_a_wider_tile_begins_with_the_narrower_ones() -> None:
    leaves = [b"", b"a" * 300, b"bc"]
    for width in (1, 2, 3):
        assert narrowed(Tile(ENTRIES, 0, width), encode_bundle(leaves)) == encode_bundle(leaves[:width])
        assert narrowed(Tile(0, 0, width), bytes(96)) == bytes(32 * width)
    with pytest.raises(Damaged):
        narrowed(Tile(ENTRIES, 0, 4), encode_bundle(leaves))
    with pytest.raises(Damaged):
        narrowed(Tile(ENTRIES, 0, 3), encode_bundle(leaves)[:-1])
    with pytest.raises(Damaged):
        narrowed(Tile(0, 0, 4), bytes(96))


async def test_old_checkpoints_are_thinned_out_to_one_an_hour_and_the_shown_one_stays(log: RunningLog) -> None:
    start = log.clock.now = log.clock().replace(minute=0, second=0, microsecond=0)
    for minute in range(0, 180, 10):
        log.clock.set(start.replace(hour=0))
        log.clock.advance(minutes=minute)
        await log.grow(1)
    sizes = [one.size for one in await checkpoints_of(log.database)]
    assert sizes == list(range(1, 19))
    async with log.database.transaction() as session:
        assert await thin_out(session, now=log.clock.advance(hours=20), limit=100) == 0, "a day old at least"
    async with log.database.transaction() as session:
        await session.execute(update(LogCheckpoint).where(LogCheckpoint.size == 2).values(cosigned_at=log.clock()))
    log.clock.advance(days=1)
    removed = []
    for _ in range(4):
        async with log.database.transaction() as session:
            removed.append(await thin_out(session, now=log.clock(), limit=8))
    assert removed == [8, 6, 0, 0]
    assert [one.size for one in await checkpoints_of(log.database)] == [2, 6, 12, 18]


async def test_a_session_that_is_rolled_back_has_sequenced_nothing(log: RunningLog) -> None:
    await log.append(3)
    async with log.database.transaction() as session:
        done = await sequence(session, keys=log.published.keys, guard=log.published.guard, now=log.clock())
        assert done is not None
        await session.rollback()
    assert await checkpoints_of(log.database) == []
    assert log.published.guard.known() is None
