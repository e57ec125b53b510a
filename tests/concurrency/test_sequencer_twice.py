"""Two sequencers at once: by the lock one at a time works; without it the head's compare-and-swap refuses the other."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from consent.log.sequencer import LostRace, Sequenced
from idp.database import Database
from tests.concurrency.sequencers import Sequencers
from tests.consent.log.running import RunningLog, check_all, open_log
from tests.support.clock import FakeClock
from tests.support.databases import only_postgresql

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes")]


@pytest.fixture
def sequencers(database_url: str) -> Iterator[Sequencers]:
    with Sequencers(database_url) as running:
        yield running


@pytest.fixture
def log(database: Database, tmp_path: Path, clock: FakeClock) -> RunningLog:
    return open_log(database, tmp_path, clock)


@only_postgresql
async def test_two_processes_that_sequence_together_make_one_log(
    log: RunningLog, sequencers: Sequencers, tmp_path: Path
) -> None:
    both = [sequencers.start(tmp_path / name, limit=7) for name in ("first", "second")]
    total = 0
    for _ in range(40):
        total += len(await log.append(11))
        await asyncio.sleep(0.01)
    deadline = time.monotonic() + 20
    while await check_all(log.database) < total:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    for one in both:
        one.kill()
    assert await check_all(log.database) == total


@only_postgresql
async def test_a_broken_lock_alone_lets_nobody_fork_the_log(
    log: RunningLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.sequence()

    async def everybody_leads(_session: AsyncSession) -> bool:
        return True

    monkeypatch.setattr("consent.log.sequencer._lead", everybody_leads)
    outcomes: list[Sequenced | BaseException | None] = []
    logs = [log, *(open_log(log.database, tmp_path / str(host), log.clock) for host in range(3))]
    for _ in range(25):
        await log.append(6)
        outcomes += await asyncio.gather(*(one.sequence(limit=4) for one in logs), return_exceptions=True)
    while await log.sequence():
        pass
    assert await check_all(log.database) == 150
    others = [one for one in outcomes if not isinstance(one, Sequenced | None)]
    assert {type(one) for one in others} <= {LostRace}, others
    assert others, "they never met: the test proves nothing"
