import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from keys.entropy import SystemEntropy
from keys.ring import RELOAD_INTERVAL, UNKNOWN_KEY_INTERVAL, RingCache, advance, ensure_ring, rotate
from keys.sealing import MasterKey
from tests.keys.making import NOW

pytestmark = pytest.mark.anyio

TICK = timedelta(microseconds=1)


class Counting:
    """A session factory that counts, waits and fails on demand."""

    def __init__(self, factory: async_sessionmaker[AsyncSession]) -> None:
        self.factory = factory
        self.opened = 0
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[AsyncSession]:
        self.opened += 1
        await self.gate.wait()
        if self.broken:
            raise ConnectionError("the database is down")
        async with self.factory() as session:
            yield session


@pytest.fixture
async def counting(session_factory: async_sessionmaker[AsyncSession], master: MasterKey) -> Counting:
    async with session_factory.begin() as session:
        await ensure_ring(session, master, algs=["ES256", "Ed25519"], now=NOW, entropy=SystemEntropy())
    return Counting(session_factory)


async def started(counting: Counting, master: MasterKey) -> RingCache:
    cache = await RingCache.start(counting, master, now=NOW)
    counting.opened = 0
    return cache


async def test_a_rotation_elsewhere_is_seen_within_the_interval(counting: Counting, master: MasterKey) -> None:
    cache = await started(counting, master)
    old = cache.ring
    async with counting.factory.begin() as session:
        new = await rotate(session, master, alg="ES256", now=NOW, entropy=SystemEntropy())
    async with counting.factory.begin() as session:
        await advance(session, now=NOW, publish_for=timedelta(0), verify_for=timedelta(hours=1))

    assert await cache.refresh_if_stale(counting, now=NOW + RELOAD_INTERVAL - TICK) is old
    assert counting.opened == 0
    ring = await cache.refresh_if_stale(counting, now=NOW + RELOAD_INTERVAL)
    assert ring is cache.ring is not old
    assert ring.signer_for("ES256").kid == new
    # What did not change was not opened again.
    assert ring.signer_for("Ed25519") is old.signer_for("Ed25519")


@pytest.mark.threat("N38")
async def test_fifty_tokens_with_an_unknown_kid_cost_one_read(counting: Counting, master: MasterKey) -> None:
    cache = await started(counting, master)
    for i in range(50):
        await cache.refresh_for_unknown_key(counting, now=NOW + UNKNOWN_KEY_INTERVAL + i * TICK)
    assert counting.opened == 1


async def test_one_reads_and_the_others_do_not_wait(counting: Counting, master: MasterKey) -> None:
    cache = await started(counting, master)
    old = cache.ring
    counting.gate.clear()
    reading = asyncio.create_task(cache.refresh_if_stale(counting, now=NOW + RELOAD_INTERVAL))
    await asyncio.sleep(0)
    assert await cache.refresh_if_stale(counting, now=NOW + 3 * RELOAD_INTERVAL) is old
    counting.gate.set()
    assert await reading is cache.ring is not old
    assert counting.opened == 1


async def test_a_failed_read_is_told_once_an_interval_and_keeps_the_ring(counting: Counting, master: MasterKey) -> None:
    cache = await started(counting, master)
    old = cache.ring
    counting.broken = True
    with pytest.raises(ConnectionError):
        await cache.refresh_if_stale(counting, now=NOW + RELOAD_INTERVAL)
    assert await cache.refresh_if_stale(counting, now=NOW + RELOAD_INTERVAL + TICK) is old
    counting.broken = False
    assert await cache.refresh_if_stale(counting, now=NOW + 2 * RELOAD_INTERVAL) is not old


async def test_a_clock_set_back_does_not_stop_the_reading(counting: Counting, master: MasterKey) -> None:
    cache = await started(counting, master)
    await cache.refresh_if_stale(counting, now=NOW - timedelta(days=1))
    assert counting.opened == 1
