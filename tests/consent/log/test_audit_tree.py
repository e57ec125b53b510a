from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from consent.log.audit import NotThisLog
from consent.log.encoding import HASH_SIZE
from consent.log.entry import Kind, leaf_data
from consent.log.findings import How, Report
from consent.log.merkle import leaf_hash
from consent.log.models import LogCheckpoint, LogEntry, LogHead, LogTile
from consent.log.tiles import ENTRIES, decode_bundle, encode_bundle
from idp.database import Database
from tests.consent.log.evidence import Evidence
from tests.consent.log.running import RunningLog, open_log, some_keys
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def log(database: Database, tmp_path: Path, clock: FakeClock) -> RunningLog:
    """Six hundred entries in four checkpoints."""
    opened = open_log(database, tmp_path, clock)
    await opened.grow(3, 97, 300, 200)
    return opened


async def tamper(log: RunningLog, *statements: Any) -> Report:
    """Changes the log behind its back, and audits it: the tree alone, for these entries are of no rows."""
    async with log.database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement) if isinstance(statement, str) else statement)
    return await audit(log)


async def audit(log: RunningLog, *brought: str) -> Report:
    report = await Evidence(log, "", "", [], "").audit(*brought)
    rowless = [finding for finding in report.findings if finding.table == "consent_registry_events"]
    report.findings = [finding for finding in report.findings if finding not in rowless]
    return report


def told(report: Report) -> set[tuple[str, str, str | None, int | None]]:
    return {(one.how.value, one.table, one.row, one.place) for one in report.findings}


async def entry_at(log: RunningLog, place: int) -> LogEntry:
    async with log.database.reading() as session:
        return (await session.scalars(select(LogEntry).where(LogEntry.log_index == place))).one()


async def tile(log: RunningLog, level: int, number: int) -> bytes:
    async with log.database.reading() as session:
        rows = await session.scalars(select(LogTile.data).where(LogTile.level == level, LogTile.number == number))
        return rows.one()


def set_tile(level: int, number: int, data: bytes) -> Any:
    return update(LogTile).where(LogTile.level == level, LogTile.number == number).values(data=data)


def with_hash(data: bytes, at: int, value: bytes) -> bytes:
    return data[: at * HASH_SIZE] + value + data[(at + 1) * HASH_SIZE :]


def with_leaf(data: bytes, at: int, value: bytes) -> bytes:
    leaves = decode_bundle(data, width=len(data) // 49)
    return encode_bundle([*leaves[:at], value, *leaves[at + 1 :]])


async def test_an_untouched_log_is_intact(log: RunningLog) -> None:
    report = await audit(log)
    assert report.findings == []
    assert (report.size, report.root) == (600, (await log.newest()).root)
    assert report.checked["consent_log_checkpoints"] == 4
    assert report.checked["consent_log_tiles"] == 7


async def test_an_edited_entry_is_named_with_its_place(log: RunningLog) -> None:
    entry = await entry_at(log, 333)
    report = await tamper(log, update(LogEntry).where(LogEntry.id == entry.id).values(commitment=bytes(32)))
    assert told(report) == {("edited", "consent_log_entries", entry.id, 333)}


async def test_swapped_entries_are_named_as_reordered(log: RunningLog) -> None:
    first, second = await entry_at(log, 5), await entry_at(log, 400)
    report = await tamper(
        log,
        update(LogEntry).where(LogEntry.id == first.id).values(log_index=None),
        update(LogEntry).where(LogEntry.id == second.id).values(log_index=5),
        update(LogEntry).where(LogEntry.id == first.id).values(log_index=400),
    )
    assert told(report) == {
        ("reordered", "consent_log_entries", second.id, 5),
        ("reordered", "consent_log_entries", first.id, 400),
    }


async def test_a_deleted_entry_is_named_by_its_place(log: RunningLog) -> None:
    report = await tamper(log, delete(LogEntry).where(LogEntry.log_index == 256))
    assert told(report) == {("deleted", "consent_log_entries", None, 256)}


async def test_an_entry_beyond_the_end_was_inserted(log: RunningLog) -> None:
    (one,) = await log.append(1)
    report = await tamper(log, update(LogEntry).where(LogEntry.id == one).values(log_index=700))
    assert told(report) == {("inserted", "consent_log_entries", one, 700)}


async def test_altered_tiles_are_named(log: RunningLog) -> None:
    hashes, bundle, upper = await tile(log, 0, 1), await tile(log, ENTRIES, 0), await tile(log, 1, 0)
    report = await tamper(
        log,
        set_tile(0, 1, with_hash(hashes, 7, bytes(32))),
        set_tile(ENTRIES, 0, with_leaf(bundle, 9, b"another leaf")),
        set_tile(1, 0, with_hash(upper, 1, bytes(32))),
    )
    assert told(report) == {
        ("edited", "consent_log_tiles", "tile/0/001", 263),
        ("edited", "consent_log_tiles", "tile/entries/000", 9),
        ("edited", "consent_log_tiles", "tile/1/000.p/2", None),
    }


async def test_missing_and_shortened_tiles_are_named(log: RunningLog) -> None:
    report = await tamper(
        log,
        delete(LogTile).where(LogTile.level == 0, LogTile.number == 0),
        set_tile(ENTRIES, 2, b"\x00"),
    )
    assert told(report) == {
        ("deleted", "consent_log_tiles", "tile/0/000", None),
        ("edited", "consent_log_tiles", "tile/entries/002.p/88", None),
    }


async def test_a_checkpoint_that_was_written_by_hand_is_named(log: RunningLog) -> None:
    forged = some_keys("idp.test/log").under("idp.test/log").sign(size=100, root=bytes(32), now=log.clock())
    stranger = type(some_keys()).open("idp.test/log", lambda name: name.encode().ljust(32, b"!"))
    report = await tamper(
        log,
        update(LogCheckpoint)
        .where(LogCheckpoint.size == 3)
        .values(note=str(stranger.sign(size=3, root=bytes(32), now=log.clock()))),
        update(LogCheckpoint).where(LogCheckpoint.size == 100).values(note=str(forged), root=bytes(32)),
        update(LogCheckpoint).where(LogCheckpoint.size == 400).values(root=bytes(32)),
    )
    assert told(report) == {
        ("edited", "consent_log_checkpoints", "3", None),
        ("forked", "consent_log_checkpoints", "100", None),
        ("edited", "consent_log_checkpoints", "400", None),
    }


async def rewrite(log: RunningLog, place: int) -> list[Any]:
    """What an operator would do who changes an entry and everything in the database that could tell."""
    leaf = leaf_data(Kind.PURPOSE, bytes(32))
    number, at = divmod(place, 256)
    return [
        update(LogEntry).where(LogEntry.log_index == place).values(commitment=bytes(32), kind=int(Kind.PURPOSE)),
        set_tile(0, number, with_hash(await tile(log, 0, number), at, leaf_hash(leaf))),
        set_tile(ENTRIES, number, with_leaf(await tile(log, ENTRIES, number), at, leaf)),
    ]


async def test_history_that_was_rewritten_everywhere_is_a_fork(log: RunningLog) -> None:
    """Entry, bundle and hash agree with each other, and not with what was signed from then on."""
    report = await tamper(log, *await rewrite(log, 50))
    assert {row for how, _, row, _ in told(report) if how == "forked"} == {"100", "400", "600"}
    assert ("edited", "consent_log_tiles", "tile/1/000.p/2", None) in told(report), "the tile above still knows"


async def test_whoever_signs_the_rewritten_history_anew_is_found_by_a_checkpoint_that_others_kept(
    log: RunningLog, tmp_path: Path
) -> None:
    kept = (await log.newest()).text
    async with log.database.transaction() as session:
        for statement in await rewrite(log, 50):
            await session.execute(statement)
        for table in (LogTile, LogCheckpoint, LogHead):
            await session.execute(delete(table))
        await session.execute(update(LogEntry).values(log_index=None))
    log.published.guard.path.unlink()
    while await log.sequence(limit=200):
        pass
    assert (await audit(log)).findings == [], "nothing in the database tells any more"
    (finding,) = (await audit(log, kept)).findings
    assert (finding.how, finding.table, finding.row) == (How.FORKED, "a checkpoint from elsewhere", "600")


async def test_a_head_that_was_set_back_is_a_rollback(log: RunningLog) -> None:
    async with log.database.reading() as session:
        root = await session.scalar(select(LogCheckpoint.root).where(LogCheckpoint.size == 400))
    report = await tamper(log, update(LogHead).values(size=400, root=root))
    assert ("rolled back", "consent_log_checkpoints", "600", None) in told(report)
    assert ("rolled back", str(log.published.guard.path), "600", None) in told(report)


async def test_a_restored_backup_is_a_rollback(log: RunningLog) -> None:
    async with log.database.reading() as session:
        root = await session.scalar(select(LogCheckpoint.root).where(LogCheckpoint.size == 100))
    report = await tamper(
        log,
        update(LogHead).values(size=100, root=root),
        delete(LogEntry).where(LogEntry.log_index >= 100),
        delete(LogCheckpoint).where(LogCheckpoint.size > 100),
        delete(LogTile).where(LogTile.level == 1),
        delete(LogTile).where(LogTile.number > 0),
        set_tile(0, 0, (await tile(log, 0, 0))[: 100 * HASH_SIZE]),
        set_tile(ENTRIES, 0, (await tile(log, ENTRIES, 0))[: 100 * 49]),
    )
    (finding,) = report.findings
    assert (finding.how, finding.table) == (How.ROLLED_BACK, str(log.published.guard.path))
    assert finding.why == "it is of 600 leaves, and the database has 100"


async def test_a_database_without_any_log_is_a_rollback(log: RunningLog) -> None:
    report = await tamper(log, delete(LogHead))
    assert ("rolled back", str(log.published.guard.path), "600", None) in told(report)


async def test_another_logs_checkpoint_is_not_taken_for_ones_own(log: RunningLog) -> None:
    other = some_keys("other.test/log").sign(size=3, root=bytes(32), now=log.clock())
    with pytest.raises(NotThisLog, match="checkpoint 1"):
        await audit(log, str(other))


async def test_a_log_that_was_begun_anew_is_audited_from_its_first_leaf(log: RunningLog) -> None:
    newest = await log.newest()
    async with log.database.transaction() as session:
        await session.execute(update(LogHead).values(origin="idp.test/log/2"))
        keys = some_keys("idp.test/log/2")
        note = keys.sign(size=600, root=newest.root, now=log.clock())
        await session.execute(update(LogCheckpoint).where(LogCheckpoint.size == 600).values(note=str(note)))
    log.published.guard.path.unlink()
    log.published.keys = keys
    assert (await audit(log)).findings == []
