"""A log to test with: entries, its keys, its sequencer, and the tree as an independent eye recomputes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from consent.log.entries import append, entry_of
from consent.log.entry import Kind, leaf_data
from consent.log.guard import Guard
from consent.log.keys import LogKeys
from consent.log.merkle import leaf_hash, root_of
from consent.log.models import LogCheckpoint, LogEntry
from consent.log.publish import PublishedLog, Rules
from consent.log.sequencer import BATCH, Sequenced, sequence_once
from consent.log.store import SignedCheckpoint, newest_checkpoints
from idp.database import Database
from keys.entropy import SystemEntropy, new_row_id
from tests.support.clock import FakeClock

ORIGIN = "idp.test/log"


def some_keys(origin: str = ORIGIN) -> LogKeys:
    """The keys of a log: the same each time."""
    return LogKeys.open(origin, lambda name: name.encode().ljust(32, b"."))


@dataclass
class RunningLog:
    """A database's log with its sequencer, driven by hand."""

    database: Database
    published: PublishedLog
    clock: FakeClock

    async def append(self, count: int, *, at: datetime | None = None) -> list[str]:
        """Entries about nobody, in one transaction; their ids."""
        now = at or self.clock()
        ids = [new_row_id(SystemEntropy(), now) for _ in range(count)]
        key = self.database.vault.nobodys
        async with self.database.transaction() as session:
            await append(session, [entry_of(Kind.PURPOSE, one, {"id": one}, key, at=now) for one in ids])
        return ids

    async def sequence(self, *, limit: int = BATCH) -> Sequenced | None:
        """One turn."""
        return await sequence_once(
            transaction=self.database.transaction, log=self.published, clock=self.clock, limit=limit
        )

    async def sequence_waiting(self) -> Sequenced | None:
        """One turn, with an entry waiting."""
        await self.append(1)
        return await self.sequence()

    async def grow(self, *sizes: int) -> None:
        """Turn after turn, each with so many entries."""
        for size in sizes:
            await self.append(size)
            await self.sequence()

    async def newest(self) -> SignedCheckpoint:
        """The newest checkpoint that was signed."""
        async with self.database.reading() as session:
            return (await newest_checkpoints(session))[0]


def open_log(database: Database, folder: Path, clock: FakeClock, *, policy: str | None = None) -> RunningLog:
    """The database's log, as one process has it."""
    keys = some_keys()
    published = PublishedLog(
        keys=keys, guard=Guard(folder / "log-head"), rules=Rules.of(policy, keys), reading=database.reading
    )
    return RunningLog(database, published, clock)


async def leaves_of(database: Database) -> list[bytes]:
    """The leaves of all sequenced entries, in their order; fails when a place is missing or taken twice."""
    async with database.reading() as session:
        rows = (
            await session.execute(
                select(LogEntry.log_index, LogEntry.kind, LogEntry.commitment)
                .where(LogEntry.log_index.is_not(None))
                .order_by(LogEntry.log_index)
            )
        ).all()
    assert [row.log_index for row in rows] == list(range(len(rows))), "a gap"
    return [leaf_data(Kind(row.kind), row.commitment) for row in rows]


async def checkpoints_of(database: Database) -> Sequence[LogCheckpoint]:
    """Every checkpoint that is kept, the smallest first."""
    async with database.reading() as session:
        return (await session.scalars(select(LogCheckpoint).order_by(LogCheckpoint.size))).all()


async def check_all(database: Database) -> int:
    """Recomputes the tree from the entries, and compares every checkpoint with it. Returns the size."""
    checkpoints = await checkpoints_of(database)  # first: the log may be growing
    hashes = [leaf_hash(leaf) for leaf in await leaves_of(database)]
    for checkpoint in checkpoints:
        assert checkpoint.size <= len(hashes)
        assert root_of(hashes[: checkpoint.size]) == checkpoint.root, f"forked at {checkpoint.size}"
    return len(hashes)
