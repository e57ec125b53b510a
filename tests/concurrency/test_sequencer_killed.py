"""The sequencer is killed, at every step and at any moment: no gap, no fork, nothing that was shown is taken back.

`LOG_KILLS` and `LOG_KILL_SECONDS` in the environment make the random part longer: one of them ends it.
"""

import asyncio
import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from consent.log.merkle import leaf_hash, root_of
from consent.log.publish import NothingPublished
from consent.log.store import any_waiting
from idp.database import Database
from tests.concurrency.sequencers import Sequencers
from tests.concurrency.stalling import stalling
from tests.consent.log.running import RunningLog, check_all, leaves_of, open_log
from tests.support.clock import FakeClock
from tests.support.databases import only_postgresql
from tests.support.telling import tell

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes")]

KILLS = int(os.environ.get("LOG_KILLS", "120"))
SECONDS = float(os.environ.get("LOG_KILL_SECONDS", "45"))
FEWEST = 20


@pytest.fixture
def sequencers(database_url: str) -> Iterator[Sequencers]:
    with Sequencers(database_url) as running:
        yield running


@pytest.fixture
def log(database: Database, tmp_path: Path, clock: FakeClock) -> RunningLog:
    return open_log(database, tmp_path, clock)


async def everything_is_sequenced(log: RunningLog) -> int:
    """Waits until no entry waits, by whichever sequencer is alive, and checks all of it."""
    deadline = time.monotonic() + 20
    while True:
        async with log.database.reading() as session:
            if not await any_waiting(session):
                return await check_all(log.database)
        assert time.monotonic() < deadline, "nobody sequences any more"
        await asyncio.sleep(0.02)


@only_postgresql
@pytest.mark.parametrize("at_commit", [False, True], ids=["at the write", "in the commit"])
@pytest.mark.parametrize(
    "table", ["consent_log_heads", "consent_log_entries", "consent_log_tiles", "consent_log_checkpoints"]
)
async def test_killed_at_a_write_it_leaves_all_or_nothing_and_the_next_goes_on(
    log: RunningLog, sequencers: Sequencers, tmp_path: Path, database_url: str, table: str, at_commit: bool
) -> None:
    await log.grow(3)
    shown = await log.published.served()
    await log.append(5)
    async with stalling(database_url, table, at_commit=at_commit) as stall:
        victim = sequencers.start(tmp_path)
        work = asyncio.create_task(victim.end(within=60))
        await stall.reached(work)
        victim.kill()
        await work
        await stall.let_go()
    size = await check_all(log.database)
    assert size in ({8} if at_commit else {3}), "all of the batch is there, or nothing of it"
    successor = sequencers.start(tmp_path)
    await log.append(2)
    assert await everything_is_sequenced(log) == 10
    successor.kill()
    hashes = [leaf_hash(leaf) for leaf in await leaves_of(log.database)]
    assert root_of(hashes[: shown.size]) == shown.root
    assert (await log.published.served()).size == 10


@only_postgresql
@pytest.mark.parametrize("step", ["before the file", "in the file", "before the rename", "after the file"])
async def test_killed_around_the_file_it_goes_on(
    log: RunningLog, sequencers: Sequencers, tmp_path: Path, step: str
) -> None:
    await log.grow(3)
    await log.append(5)
    await sequencers.start(tmp_path, dies=step).end()
    assert await check_all(log.database) == 8, "what is committed stays"
    known = log.published.guard.known()
    assert known is not None
    assert known.size == (8 if step == "after the file" else 3), "the file is never ahead, and never half"
    successor = sequencers.start(tmp_path)
    await log.append(2)
    assert await everything_is_sequenced(log) == 10
    successor.kill()
    assert (await log.published.served()).size == 10
    known = log.published.guard.known()
    assert known is not None
    assert known.size == 10


@only_postgresql
@pytest.mark.timeout(0 if "LOG_KILLS" in os.environ else 120)
async def test_killed_at_any_moment_again_and_again_it_makes_no_gap_and_no_fork(
    log: RunningLog, sequencers: Sequencers, tmp_path: Path
) -> None:
    await log.grow(20)
    begun = time.monotonic()
    await log.grow(20, 20)
    turn = (time.monotonic() - begun) / 2  # whatever else this machine is doing
    stop = asyncio.Event()
    shown: dict[int, bytes] = {}
    appended, kills = 60, 0

    async def append() -> None:
        nonlocal appended
        while not stop.is_set():
            appended += len(await log.append(random.randint(1, 30)))
            await asyncio.sleep(random.uniform(0, 0.02))

    async def look() -> None:
        # A host of its own: it shows whatever is committed, also what its sequencer died before showing.
        elsewhere = open_log(log.database, tmp_path / "another-host", log.clock)
        while not stop.is_set():
            with suppress(NothingPublished):
                served = await elsewhere.published.served()
                assert shown.setdefault(served.size, served.root) == served.root
            await asyncio.sleep(0.005)

    people = [asyncio.create_task(append()), asyncio.create_task(look())]
    try:
        begun = time.monotonic()
        while kills < KILLS and (kills < FEWEST or time.monotonic() - begun < SECONDS):
            victim = sequencers.start(tmp_path, limit=50)
            if kills % 4:
                # The others die while they start.
                await victim.works()
            await asyncio.sleep(random.uniform(0, 3 * turn))
            assert not any(person.done() for person in people)
            assert not victim.has_ended(), "it died by itself"
            await asyncio.to_thread(victim.kill)
            kills += 1
    finally:
        stop.set()
        await asyncio.gather(*people)
    last = sequencers.start(tmp_path, limit=2000)
    size = await everything_is_sequenced(log)
    last.kill()
    assert size == appended
    hashes = [leaf_hash(leaf) for leaf in await leaves_of(log.database)]
    for known, root in shown.items():
        assert root_of(hashes[:known]) == root, f"what was shown at {known} is not in the log any more"
    served = await log.published.served()
    assert (served.size, served.root) == (size, root_of(hashes))
    assert len(shown) > 5, "hardly anything was sequenced: the test proves little"
    tell(f"{kills} kills: {size} entries, {len(shown)} checkpoints were seen, no gap, no fork")
