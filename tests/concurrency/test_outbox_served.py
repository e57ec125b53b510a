"""Servers tell by themselves: whoever withdraws at one of two processes, the app hears of it once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from idp.clock import system_clock
from idp.provider import Provider
from idp.settings import Settings
from keys.entropy import SystemEntropy
from tests.support.databases import only_postgresql
from tests.support.ports import free_port
from tests.support.server import ServerProcess
from tests.support.settings import settings_for
from tests.support.token_world import new_world
from tests.support.withdrawal_world import WithdrawalWorld, new_withdrawal_world

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.processes,
    pytest.mark.xdist_group("processes"),
    only_postgresql,
]


@pytest.fixture
def served_settings(database_url: str, tmp_path: Path) -> Settings:
    issuer = f"http://localhost:{free_port()}"
    return settings_for(database_url, tmp_path, issuer=issuer, outbound_private_networks=("127.0.0.0/8",))


@pytest.fixture
async def stage(
    two_processes: tuple[ServerProcess, ServerProcess], served_settings: Settings
) -> AsyncIterator[WithdrawalWorld]:
    provider = await Provider.open(served_settings, clock=system_clock, entropy=SystemEntropy())
    async with httpx2.AsyncClient(base_url=two_processes[0].url()) as http:
        yield await new_withdrawal_world(await new_world(provider, http))
    await provider.close()


async def test_two_servers_tell_everybody_once(stage: WithdrawalWorld) -> None:
    async with stage.recipient:
        await stage.listen()
        for _ in range(20):
            await stage.withdraw(await stage.agree())
        for _ in range(150):
            if len(stage.recipient.seen) == 20:
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.5)  # time for a second telling that should not be
    assert len(stage.recipient.seen) == 20
    assert set(stage.recipient.seen.values()) == {1}
    assert stage.recipient.wrong == []
    assert all(one.sent_at is not None for one in await stage.deliveries())
