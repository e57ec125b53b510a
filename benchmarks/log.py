"""The log's figures: putting entries into it, proving one, replaying all. `python -m benchmarks.log` runs these alone.

On one PostgreSQL with durable commits, in this process: the sequencer, the proofs and the audit as servers and
operators run them. The rate is what an installation sees; the processor time moves less with the machine's mood.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import insert

from benchmarks.operations import cpu_seconds
from consent.log.audit import audit
from consent.log.audit_sources import SOURCES, missing_rightly
from consent.log.guard import Guard
from consent.log.keys import LogKeys
from consent.log.models import LogEntry
from consent.log.proof import LogProof
from consent.log.prove import proof_for
from consent.log.publish import PublishedLog, Rules
from consent.log.sequencer import sequence_once
from consent.uses.disclosure import Disclosure, write
from consent.uses.models import Use
from consent.vault import key_of
from idp.clock import system_clock
from idp.database import Database
from idp.migrate import upgrade
from keys.entropy import SystemEntropy, new_row_id
from tests.support.postgres import PostgresqlServer, postgresql_server
from tests.support.settings import a_vault

PEOPLE = 500
PER_COMMIT = 256  # as many uses as the recorder commits together
PROOFS = 500


@dataclass(frozen=True)
class Row:
    """One figure: so many of something, in so many seconds, for so much processor time here and in PostgreSQL."""

    name: str
    count: int
    seconds: float
    cpu: float
    database_cpu: float

    def __str__(self) -> str:
        per_second = self.count / self.seconds
        micros, database = (spent / self.count * 1e6 for spent in (self.cpu, self.database_cpu))
        million = 1e6 / per_second
        return f"{self.name:<34}{per_second:>9.0f}{micros:>8.0f}{database:>7.0f}{million:>12.1f}"


class Watch:
    """Measures blocks of one process beside a database's."""

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids
        self.rows: list[Row] = []

    @asynccontextmanager
    async def measuring(self, name: str, count: int) -> AsyncIterator[None]:
        """Adds a row for the block."""
        wall, cpu, database = time.monotonic(), time.process_time(), cpu_seconds(*self._pids())
        yield
        spent = (time.monotonic() - wall, time.process_time() - cpu, cpu_seconds(*self._pids()) - database)
        self.rows.append(Row(name, count, *spent))


async def run(url: str, folder: Path, *, count: int, pids: Callable[[], list[int]]) -> list[Row]:
    """Writes `count` uses with their entries, puts them into the log, proves some, and replays all."""
    await upgrade(url)
    database = Database(url, vault=a_vault(), pool_size=4)
    keys = LogKeys.open("bench.test/log", lambda name: name.encode().ljust(32, b"."))
    log = PublishedLog(
        keys=keys, guard=Guard(folder / "log-head"), rules=Rules.of(None, keys), reading=database.reading
    )
    watch = Watch(pids)
    try:
        written = await _write_uses(database, count)
        async with watch.measuring("append: a use and its entry", count):
            for start in range(0, count, PER_COMMIT):
                batch = written[start : start + PER_COMMIT]
                async with database.transaction() as session:
                    await session.execute(insert(Use), [use for use, _ in batch])
                    await session.execute(insert(LogEntry), [entry for _, entry in batch])
        async with watch.measuring("sequence, sign, let out", count):
            while await sequence_once(transaction=database.transaction, log=log, clock=system_clock):
                pass
        async with watch.measuring("inclusion proof", PROOFS):
            for number in range(PROOFS):
                proof = await proof_for(log, str(written[number * count // PROOFS][0]["id"]))
                assert isinstance(proof, LogProof)
        async with watch.measuring("audit: the tree, every row opened", count), database.reading() as session:
            report = await audit(session, keys=keys, guard=log.guard, sources=SOURCES, by_rule=missing_rightly)
        assert report.intact, report.findings[:3]
    finally:
        await database.dispose()
    return watch.rows


async def _write_uses(database: Database, count: int) -> list[tuple[dict[str, object], dict[str, object]]]:
    entropy, start = SystemEntropy(), system_clock()
    people = [str(UUID(int=number, version=4)) for number in range(PEOPLE)]
    async with database.transaction() as session:
        of_person = {person: await key_of(session, person, now=start) for person in people}
    some_id = str(UUID(int=9, version=4))
    written = []
    for number in range(count):
        now = start + timedelta(milliseconds=number)
        disclosure = Disclosure(
            id=new_row_id(entropy, now),
            at=now,
            subject_id=people[number % PEOPLE],
            consent_id=some_id,
            purpose_version_id=some_id,
            agency_id=some_id,
            client_id="bench",
            action="userinfo",
            items=("email", "name", "phone_number"),
            jti="j" * 22,
        )
        made = write(disclosure, of_person[disclosure.subject_id], entropy=entropy)
        written.append((made.use, made.entry))
    return written


def table(rows: list[Row]) -> str:
    """The figures as a table that people read."""
    head = f"{'the log':<34}{'a second':>9}{'µs':>8}{'db µs':>7}{'s a million':>12}"
    return "\n".join([head, *map(str, rows)])


def measure(server: PostgresqlServer, folder: Path, *, count: int, pids: Callable[[], list[int]]) -> list[Row]:
    """All figures, on a database of their own."""
    return asyncio.run(run(server.create_database("log"), folder, count=count, pids=pids))


def main() -> None:
    """Runs these alone."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=50_000, help="uses to write and replay")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        with postgresql_server(folder, durable=True) as server:
            from benchmarks.__main__ import Bench  # noqa: PLC0415 - it imports this module too

            bench = Bench(server, folder, 0, 0, server_core=0, load_core=0)
            rows = measure(server, folder, count=chosen.count, pids=bench.postgresql_pids)
    print(table(rows))
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
