"""Senders are killed at random moments, again and again: nobody is forgotten, and what comes twice has the same `jti`.

`KILLS` in the environment makes it longer.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import func, select

from consent.withdrawal.models import Delivery
from idp.clock import system_clock
from idp.provider import Provider
from idp.settings import Settings
from keys.entropy import SystemEntropy
from tests.support.canary import Visit
from tests.support.databases import only_postgresql, only_sqlite
from tests.support.keyring import install_keys_at
from tests.support.sender_nursery import SenderNursery
from tests.support.settings import settings_for
from tests.support.telling import tell
from tests.support.token_world import new_world
from tests.support.withdrawal_world import WithdrawalWorld, new_withdrawal_world

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.processes,
    pytest.mark.xdist_group("processes"),
    pytest.mark.timeout(0 if "KILLS" in os.environ else 240),
]

KILLS = int(os.environ.get("KILLS", "80"))
LEASE_SECONDS = 0.5


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return settings_for(database_url, tmp_path, outbound_private_networks=("127.0.0.0/8",))


@pytest.fixture
async def stage(settings: Settings) -> AsyncIterator[WithdrawalWorld]:
    """The ministries and the app, by the clock on the wall: the senders have no other."""
    await install_keys_at(settings.url)
    provider = await Provider.open(settings, clock=system_clock, entropy=SystemEntropy())
    async with httpx2.AsyncClient() as nowhere:
        yield await new_withdrawal_world(await new_world(provider, nowhere))
    await provider.close()


async def unsent(stage: WithdrawalWorld) -> int:
    async with stage.provider.database.reading() as session:
        statement = select(func.count()).select_from(Delivery).where(Delivery.sent_at.is_(None))
        return await session.scalar(statement) or 0


async def kill_again_and_again(stage: WithdrawalWorld, nursery: SenderNursery, kills: int) -> None:
    """Two people withdraw, a sender is born and killed somewhere on its way; and so on."""
    for kill in range(kills):
        for _ in range(2):
            await stage.withdraw(await stage.agree())
        sender = await asyncio.to_thread(nursery.fork)
        if kill % 4:
            await one_more_visit(stage)
            # Between the claim, the answer, and the recording of it.
            await asyncio.sleep(random.uniform(0.0, 0.08))
        else:
            # On its way there: before it has opened the database, or has claimed anything.
            await asyncio.sleep(random.uniform(0.0, 0.3))
        await asyncio.to_thread(sender.kill)


async def one_more_visit(stage: WithdrawalWorld) -> None:
    """Waits until a sender has come to the recipient's door; not for long, for what is claimed may be a dead one's."""
    before = len(stage.recipient.canary.visits)
    for _ in range(75):
        if len(stage.recipient.canary.visits) > before:
            return
        await asyncio.sleep(0.02)


async def finish(stage: WithdrawalWorld, nursery: SenderNursery) -> None:
    """One sender that lives long enough."""
    sender = await asyncio.to_thread(nursery.fork)
    for _ in range(600):
        if not await unsent(stage):
            break
        await asyncio.sleep(0.1)
    await asyncio.to_thread(sender.kill)


async def nobody_is_forgotten(stage: WithdrawalWorld, folder: Path, kills: int) -> None:
    with SenderNursery(stage.provider.settings, lease_seconds=LEASE_SECONDS, log=folder / "senders.log") as nursery:
        async with stage.recipient:
            at_once = stage.recipient.canary.answer

            async def after_a_while(visit: Visit, writer: asyncio.StreamWriter) -> None:
                await asyncio.sleep(random.uniform(0.0, 0.05))
                await at_once(visit, writer)

            stage.recipient.canary.answer = after_a_while
            await stage.listen()
            await kill_again_and_again(stage, nursery, kills)
            left = await unsent(stage)
            await finish(stage, nursery)
    deliveries = await stage.deliveries()
    assert len(deliveries) == 2 * kills
    assert stage.recipient.wrong == []
    assert {one.jti for one in deliveries} == set(stage.recipient.seen)
    assert all(one.sent_at is not None for one in deliveries)
    # Some were sent by senders that were killed, or this would have shown nothing.
    assert left < 2 * kills
    twice = sum(1 for times in stage.recipient.seen.values() if times > 1)
    tell(f"{kills} kills: {len(deliveries)} told, {twice} of them more than once, {left} by the last sender")


@only_postgresql
async def test_killed_senders_forget_nobody(stage: WithdrawalWorld, tmp_path: Path) -> None:
    await nobody_is_forgotten(stage, tmp_path, KILLS)


@only_sqlite
async def test_killed_senders_on_sqlite_forget_nobody(stage: WithdrawalWorld, tmp_path: Path) -> None:
    await nobody_is_forgotten(stage, tmp_path, KILLS // 4)
