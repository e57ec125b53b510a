"""An app that an operator shuts out is out at every process at once, whatever is cached."""

import asyncio
import subprocess
import sys
import time

import pytest

from idp.settings import Settings
from tests.support.databases import only_postgresql
from tests.support.server import ROOT, environment_of
from tests.support.service import ALIVE, CLIENT_IDS, Service
from tests.support.telling import tell

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes"), only_postgresql]


@pytest.fixture
def served_settings(served_settings: Settings) -> Settings:
    return served_settings.model_copy(update={"client_cache_seconds": 2})


def operate(settings: Settings, *arguments: str) -> None:
    """Runs a command of the operator's, on the same database."""
    subprocess.run(
        [sys.executable, "-m", "idp", *arguments],
        cwd=ROOT,
        env=environment_of(settings),
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )


async def test_a_disabled_app_and_its_tokens_are_dead_at_both_processes(service: Service) -> None:
    login = await service.log_in("siti", "health")
    _, code = await service.agree("budi", "health")
    other = await service.log_in("siti", "population")
    assert await service.lives("health", login.access_token) == ALIVE
    operate(service.settings, "client", "disable", CLIENT_IDS["health"])
    disabled_at = time.monotonic()
    for at in (0, 1):
        assert await service.userinfo(login.access_token, at=at) == 401
        refreshed = await service.refresh("health", login.refresh_token, at=at)
        assert refreshed.status_code in {400, 401}
        # The app itself may still be known here for a moment; its tokens are dead whoever asks.
        question = {"token": login.access_token}
        asked = await service.post("/introspect", at=at, data=question, headers=service.basic("health"))
        assert asked.status_code == 401 or asked.json() == {"active": False}
    redeemed = await service.token("health", at=0, grant_type="authorization_code", code=code)
    assert redeemed.status_code in {400, 401}
    lasted = 0.0
    for at in (0, 1):
        while True:
            asked_at = time.monotonic()
            refused = await service.token("health", at=at, grant_type="client_credentials")
            if refused.json()["error"] == "invalid_client":
                break
            lasted = asked_at - disabled_at
            await asyncio.sleep(0.05)
    assert lasted <= service.settings.client_cache_seconds
    assert await service.lives("population", other.access_token) == ALIVE
    tell(f"dead at once; the app itself was last known {lasted:.2f} s after")
