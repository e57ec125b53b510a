from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from consent.log.checkpoint import Checkpoint
from consent.log.encoding import HASH_SIZE
from consent.log.merkle import EMPTY_ROOT, Frontier, frontier_at, leaf_hash, root_of
from consent.log.models import LogEntry, LogHead, LogTile
from consent.log.note import Note, open_checkpoint
from consent.log.sequencer import AnotherOrigin, Halted, edge_of, grow
from consent.log.store import Damaged, set_halted
from consent.log.tiles import ENTRIES, Tile, decode_bundle, node_reader, tiles_of
from consent.log.vkey import has_ml_dsa
from idp.database import Database
from tests.consent.log.running import RunningLog, check_all, checkpoints_of, leaves_of, open_log, some_keys
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def log(database: Database, tmp_path: Path, clock: FakeClock) -> RunningLog:
    return open_log(database, tmp_path, clock)


async def test_an_empty_log_gets_a_signed_checkpoint_of_nothing(log: RunningLog) -> None:
    done = await log.sequence()
    assert done is not None
    checkpoint = Checkpoint.parse(done.note.text)
    assert (checkpoint.size, checkpoint.root) == (0, EMPTY_ROOT)
    assert await log.sequence() is None


async def test_entries_get_gapless_places_in_the_order_of_their_ids(log: RunningLog) -> None:
    await log.sequence()
    first = await log.append(3)
    log.clock.advance(1)
    second = await log.append(2)
    done = await log.sequence()
    assert done is not None
    assert (done.entries, done.size) == (5, 5)
    async with log.database.reading() as session:
        placed = (await session.scalars(select(LogEntry.id).order_by(LogEntry.log_index))).all()
    assert placed == [*sorted(first), *sorted(second)]


async def test_an_entry_with_an_older_id_that_was_committed_late_still_gets_its_place(log: RunningLog) -> None:
    early = log.clock()
    log.clock.advance(60)
    await log.grow(3)
    (late,) = await log.append(1, at=early)
    await log.sequence()
    async with log.database.reading() as session:
        assert await session.scalar(select(LogEntry.log_index).where(LogEntry.id == late)) == 3
    assert await check_all(log.database) == 4


async def test_every_checkpoint_is_signed_by_the_logs_keys_and_of_the_tree_that_the_entries_make(
    log: RunningLog,
) -> None:
    await log.grow(1, 2, 253, 1, 300, 7)
    assert await check_all(log.database) == 564
    keys = some_keys()
    assert len(keys.vkeys) == (2 if has_ml_dsa() else 1)
    for kept in await checkpoints_of(log.database):
        opened = open_checkpoint(kept.note, log_keys=set(keys.vkeys))
        assert (opened.checkpoint.origin, opened.checkpoint.size) == (keys.origin, kept.size)
        assert {one.key for one in opened.verified} == set(keys.vkeys)


async def test_the_tiles_are_those_of_the_specification(log: RunningLog) -> None:
    await log.grow(5, 251, 256, 100)
    leaves = await leaves_of(log.database)
    hashes = [leaf_hash(leaf) for leaf in leaves]
    async with log.database.reading() as session:
        stored = {(t.level, t.number): t for t in await session.scalars(select(LogTile))}
    assert stored.keys() == {(tile.level, tile.number) for tile in tiles_of(612)}
    for tile in tiles_of(612):
        row = stored[tile.level, tile.number]
        assert row.width == tile.width
        if tile.level == ENTRIES:
            assert decode_bundle(row.data, width=tile.width) == leaves[tile.number * 256 :][: tile.width]
        elif tile.level == 0:
            assert row.data == b"".join(hashes[tile.number * 256 :][: tile.width])
        else:
            assert row.data == root_of(hashes[:256]) + root_of(hashes[256:512])


async def test_more_than_a_batch_takes_several_turns(log: RunningLog) -> None:
    await log.append(25)
    assert [(await log.sequence(limit=10)).size for _ in range(3)] == [10, 20, 25]  # type: ignore[union-attr]
    assert await log.sequence(limit=10) is None
    assert [c.size for c in await checkpoints_of(log.database)] == [10, 20, 25]


async def test_a_transaction_that_fails_leaves_the_entries_waiting(
    log: RunningLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.grow(4)
    await log.append(3)

    async def broken(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("consent.log.sequencer.write_tiles", broken)
        with pytest.raises(OSError, match="the disk is full"):
            await log.sequence()
    assert len(await leaves_of(log.database)) == 4
    await log.sequence()
    assert await check_all(log.database) == 7


async def test_a_halted_log_signs_nothing_until_it_is_let_go_on(log: RunningLog) -> None:
    await log.grow(2)
    await log.append(1)
    async with log.database.transaction() as session:
        await set_halted(session, "a witness knows more", now=log.clock())
    with pytest.raises(Halted, match="a witness knows more"):
        await log.sequence()
    async with log.database.transaction() as session:
        await set_halted(session, None, now=log.clock())
    await log.sequence()
    assert await check_all(log.database) == 3


async def test_a_log_keeps_its_name(log: RunningLog, tmp_path: Path) -> None:
    await log.grow(2)
    await log.append(1)
    other = open_log(log.database, tmp_path / "elsewhere", log.clock)
    other.published.keys = some_keys("another.test/log")
    with pytest.raises(AnotherOrigin, match=r"another\.test/log"):
        await other.sequence()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("UPDATE consent_log_tiles SET data = substr(data, 1, 33) WHERE level = 0", "bytes"),
        ("DELETE FROM consent_log_tiles WHERE level = 0", "missing"),
    ],
)
async def test_nothing_is_signed_on_top_of_damaged_tiles(log: RunningLog, damage: str, says: str) -> None:
    await log.grow(3)
    await log.append(1)
    async with log.database.transaction() as session:
        await session.execute(text(damage))
    with pytest.raises(Damaged, match=says):
        await log.sequence()


async def test_nothing_is_signed_on_top_of_altered_tiles(log: RunningLog) -> None:
    await log.grow(3)
    await log.append(1)
    async with log.database.transaction() as session:
        await session.execute(update(LogTile).where(LogTile.level == 0).values(data=bytes(3 * HASH_SIZE)))
    with pytest.raises(Damaged, match="do not give the root"):
        await log.sequence()


async def test_an_entry_that_no_code_of_ours_writes_stops_the_log(log: RunningLog) -> None:
    (one,) = await log.append(1)
    async with log.database.transaction() as session:
        await session.execute(update(LogEntry).values(kind=99))
    with pytest.raises(Damaged, match=one):
        await log.sequence()


async def test_a_database_with_two_heads_is_refused(log: RunningLog) -> None:
    await log.grow(1)
    async with log.database.transaction() as session:
        session.add(LogHead(origin="x", size=0, root=EMPTY_ROOT, updated_at=log.clock(), halted=None))
    with pytest.raises(Damaged, match="the heads of 2 logs"):
        await log.sequence()


async def test_the_note_is_read_back_as_it_was_signed(log: RunningLog) -> None:
    await log.append(2)
    done = await log.sequence()
    newest = await log.newest()
    assert done is not None
    assert newest.note == done.note == Note.parse(newest.text)


@given(st.lists(st.integers(min_value=1, max_value=700), max_size=6))
def test_growing_in_steps_gives_the_tiles_of_growing_at_once(steps: list[int]) -> None:
    leaves = [number.to_bytes(4, "big") for number in range(sum(steps))]
    stored: dict[tuple[int, int], bytes] = {}
    frontier = Frontier()
    for step in steps:
        edge = {tile: stored[tile.level, tile.number] for tile in edge_of(frontier.size)}
        grown = grow(frontier, edge, leaves[frontier.size :][:step])
        frontier = grown.frontier
        stored.update({(tile.level, tile.number): data for tile, data in grown.rows})
    at_once = grow(Frontier(), {}, leaves)
    assert stored == {(tile.level, tile.number): data for tile, data in at_once.rows}
    assert frontier == at_once.frontier
    assert frontier.root() == root_of(map(leaf_hash, leaves))
    size = len(leaves)
    assert frontier_at(size, node_reader(lambda tile: at_once_data(stored, tile), size)) == frontier


def at_once_data(stored: dict[tuple[int, int], bytes], tile: Tile) -> bytes:
    return stored[tile.level, tile.number]
