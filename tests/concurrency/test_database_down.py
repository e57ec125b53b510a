"""The database goes down under two running servers and comes back: nothing false is said, and nobody restarts them."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from idp.migrate import upgrade
from tests.concurrency.citizens import Citizen, Ledger
from tests.concurrency.own_postgresql import OwnPostgresql, own_postgresql
from tests.support.ports import free_port
from tests.support.server_nursery import ServerNursery
from tests.support.service import ALIVE, Service, run_service
from tests.support.settings import settings_for
from tests.support.telling import tell

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.processes,
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif("TEST_POSTGRESQL_URL" in os.environ, reason="the server is not ours to stop"),
]

BACK_WITHIN_SECONDS = 20
OUTAGES = 3


@pytest.fixture
def postgres() -> Iterator[OwnPostgresql]:
    with own_postgresql() as server:
        yield server


@pytest.fixture
async def service(postgres: OwnPostgresql, nursery: ServerNursery, tmp_path: Path) -> AsyncIterator[Service]:
    settings = settings_for(
        postgres.server.create_database("satupintu"), tmp_path, issuer=f"http://localhost:{free_port()}"
    )
    await upgrade(settings.url)
    async with run_service(nursery, settings, tmp_path) as running:
        yield running


async def ready(service: Service, at: int) -> int:
    """The status of a process's readiness."""
    return (await service.http.get(service.processes[at].url("/health/ready"))).status_code


async def wait_until_ready(service: Service) -> float:
    """Waits until both are, and says how long that took."""
    begun = time.monotonic()
    while [await ready(service, at) for at in (0, 1)] != [200, 200]:
        assert time.monotonic() - begun < BACK_WITHIN_SECONDS, "not ready again"
        await asyncio.sleep(0.05)
    return time.monotonic() - begun


@pytest.mark.threat("N92")
async def test_without_a_database_nothing_is_issued_and_with_it_all_goes_on(
    service: Service, postgres: OwnPostgresql
) -> None:
    login = await service.log_in("siti", "health")
    app, code = await service.agree("budi", "health")
    # Every connection of the pools is in use once, so that after the outage every one of them is dead.
    await asyncio.gather(*(service.lives("health", login.access_token) for _ in range(10)))
    postgres.pull_the_plug()
    seen: Counter[str] = Counter()
    begun = time.monotonic()
    for at in (0, 1):
        headers = {"Authorization": f"Bearer {login.access_token}"}
        data, basic = {"token": login.access_token}, service.basic("health")
        answers: dict[str, httpx2.Response] = {
            "code": await service.redeem(app, "health", code, at=at),
            "refresh": await service.refresh("health", login.refresh_token, at=at),
            "userinfo": await service.http.get(service.processes[at].url("/userinfo"), headers=headers),
            "introspect": await service.post("/introspect", at=at, data=data, headers=basic),
            "revoke": await service.post("/revoke", at=at, data=data, headers=basic),
        }
        for what, answer in answers.items():
            assert answer.status_code >= 500, f"{what}: {answer.status_code} {answer.text}"
            assert "token" not in answer.text
            seen[str(answer.status_code)] += 1
        user = service.browser(at=at)
        await user.open("/login")
        assert user.page.status >= 500
        assert await ready(service, at) == 503
        assert (await service.http.get(service.processes[at].url("/health/live"))).status_code == 200
        assert (await service.http.get(service.processes[at].url("/jwks"))).status_code == 200
    took = time.monotonic() - begun
    postgres.put_it_back()
    waited = await wait_until_ready(service)
    # At once, and for everybody who asks together: no dead connection is left over for somebody to meet.
    alive = await asyncio.gather(*(service.lives("health", login.access_token) for _ in range(10)))
    assert all(one == ALIVE for one in alive)
    assert (await service.redeem(app, "health", code, at=0)).status_code == 200
    assert (await service.refresh("health", login.refresh_token, at=1)).status_code == 200
    await service.log_in("budi", "population")
    tell(f"down: {dict(seen)} in {took:.1f} s; ready again after {waited:.2f} s, without a restart")


async def test_a_database_that_loses_its_power_keeps_what_was_acknowledged(
    service: Service, postgres: OwnPostgresql
) -> None:
    ledger, stop = Ledger(), asyncio.Event()
    people = [asyncio.create_task(Citizen(service, name, ledger).live(stop)) for name in await service.citizens(4)]
    try:
        for _ in range(OUTAGES):
            await ledger.one_more(people)
            await asyncio.sleep(random.uniform(0.0, 0.5))
            postgres.pull_the_plug()
            postgres.put_it_back()
            await wait_until_ready(service)
    finally:
        stop.set()
        await asyncio.gather(*people)
    await service.database.engine.dispose()  # the test's own connections died with it
    # While it was down, 5xx was the honest answer.
    ledger.faults = [fault for fault in ledger.faults if not fault.startswith("5")]
    found = await ledger.check(service.database)
    tell(f"{OUTAGES} power cuts of PostgreSQL: {ledger}; {found}")
