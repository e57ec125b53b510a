"""What one sender has claimed no other sends, until the lease is over; then another does."""

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from consent.withdrawal.sending import Claimed, claim, record_sent, release
from idp.deliveries import Sender
from idp.provider import Provider
from idp.settings import Settings
from keys.entropy import Entropy
from tests.support.clock import FakeClock
from tests.support.databases import only_postgresql
from tests.support.settings import settings_for
from tests.support.token_world import new_world
from tests.support.withdrawal_world import Idle, WithdrawalWorld, new_withdrawal_world

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return settings_for(database_url, tmp_path, outbound_private_networks=("127.0.0.0/8",))


@pytest.fixture
async def stage(provider: Provider, client: httpx2.AsyncClient) -> WithdrawalWorld:
    return await new_withdrawal_world(await new_world(provider, client))


async def claimed(stage: WithdrawalWorld, *, limit: int = 100, at: Provider | None = None) -> list[Claimed]:
    provider = at or stage.provider
    async with provider.database.transaction() as session:
        return await claim(session, now=provider.clock(), limit=limit, lease=timedelta(minutes=5))


async def test_what_is_claimed_is_nobody_elses_until_the_lease_is_over(
    stage: WithdrawalWorld, clock: FakeClock
) -> None:
    async with stage.recipient:
        await stage.listen()
    for _ in range(3):
        await stage.withdraw(await stage.agree())
    first = await claimed(stage)
    assert len(first) == 3
    assert await claimed(stage) == []
    clock.advance(minutes=4, seconds=59)
    assert await claimed(stage) == []
    clock.advance(seconds=1)
    again = await claimed(stage)
    assert {one.delivery_id for one in again} == {one.delivery_id for one in first}
    assert {one.attempts for one in again} == {2}


async def test_who_comes_late_gives_back_nothing_that_is_anothers_by_now(
    stage: WithdrawalWorld, clock: FakeClock
) -> None:
    async with stage.recipient:
        await stage.listen()
    await stage.withdraw(await stage.agree())
    [late] = await claimed(stage)
    clock.advance(minutes=6)
    assert len(await claimed(stage)) == 1
    async with stage.provider.database.transaction() as session:
        await release(session, [late])
    assert await claimed(stage) == []


async def test_a_late_success_is_a_success(stage: WithdrawalWorld, clock: FakeClock) -> None:
    """The first sender was slow and not dead: the recipient has it, whoever says so."""
    async with stage.recipient:
        await stage.listen()
    await stage.withdraw(await stage.agree())
    [slow] = await claimed(stage)
    clock.advance(minutes=6)
    [other] = await claimed(stage)
    for one in (slow, other):
        async with stage.provider.database.transaction() as session:
            await record_sent(session, one, now=clock())
    clock.advance(hours=1)
    assert await claimed(stage) == []


@only_postgresql
async def test_several_senders_at_once_send_each_event_once(
    stage: WithdrawalWorld, settings: Settings, clock: FakeClock, entropy: Entropy
) -> None:
    others = [await Provider.open(settings, clock=clock, entropy=entropy) for _ in range(2)]
    try:
        async with stage.recipient:
            await stage.listen()
            for _ in range(60):
                await stage.withdraw(await stage.agree())
            senders: list[Sender] = [Idle(provider) for provider in (stage.provider, *others)]
            await asyncio.gather(*(sender.send_due() for sender in senders))
            while await stage.send():
                pass
        assert len(stage.recipient.seen) == 60
        assert set(stage.recipient.seen.values()) == {1}
    finally:
        for provider in others:
            await provider.close()
