"""Servers are killed at random moments while citizens use them. Whatever people were told holds afterwards.

`KILLS` and `KILL_SECONDS` in the environment make it longer: one of them ends it.
"""

import asyncio
import os
import random
import time

import pytest

from tests.concurrency.citizens import Citizen, Ledger
from tests.support.databases import only_postgresql, only_sqlite
from tests.support.service import Service
from tests.support.telling import tell

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes")]

KILLS = int(os.environ.get("KILLS", "25"))
SECONDS = float(os.environ.get("KILL_SECONDS", "15"))
FEWEST = 5


async def kill_again_and_again(service: Service, *, citizens: int, kills: int, seconds: float) -> tuple[Ledger, int]:
    """Citizens go on while one process after another is killed and started again."""
    ledger, stop = Ledger(), asyncio.Event()
    names = await service.citizens(citizens)
    people = [asyncio.create_task(Citizen(service, name, ledger).live(stop)) for name in names]
    begun = time.monotonic()
    done = 0
    try:
        while done < kills and (done < FEWEST or time.monotonic() - begun < seconds):
            await ledger.one_more(people)
            await asyncio.sleep(random.uniform(0.0, 0.5))
            victim = service.processes[done % len(service.processes)]
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start)
            done += 1
    finally:
        stop.set()
        await asyncio.gather(*people)
    return ledger, done


@only_postgresql
@pytest.mark.timeout(0 if "KILLS" in os.environ else 120)
async def test_killed_servers_lose_nothing_that_was_acknowledged(service: Service) -> None:
    ledger, kills = await kill_again_and_again(service, citizens=6, kills=KILLS, seconds=SECONDS)
    found = await ledger.check(service.database)
    tell(f"{kills} kills of two processes: {ledger}; {found}")


@only_sqlite
@pytest.mark.timeout(0 if "KILLS" in os.environ else 120)
async def test_a_killed_server_on_sqlite_loses_nothing_that_was_acknowledged(service: Service) -> None:
    ledger, kills = await kill_again_and_again(service, citizens=4, kills=KILLS // 2, seconds=SECONDS / 2)
    found = await ledger.check(service.database)
    tell(f"{kills} kills of one process: {ledger}; {found}")
