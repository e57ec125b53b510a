"""The stage of the tests of withdrawal: a provider that may send to this machine."""

from pathlib import Path

import httpx2
import pytest

from idp.provider import Provider
from idp.settings import Settings
from tests.support.settings import settings_for
from tests.support.token_world import new_world
from tests.support.withdrawal_world import WithdrawalWorld, new_withdrawal_world


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Events may go to this machine."""
    return settings_for(database_url, tmp_path, outbound_private_networks=("127.0.0.0/8",))


@pytest.fixture
async def stage(provider: Provider, client: httpx2.AsyncClient) -> WithdrawalWorld:
    """The ministries, the app and the citizen."""
    return await new_withdrawal_world(await new_world(provider, client))
