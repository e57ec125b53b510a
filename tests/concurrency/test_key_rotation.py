"""A rotation at one process while the other serves: no token ever meets a key set that does not know its key."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from idp.clock import system_clock
from idp.housekeeping import sweep
from idp.provider import Provider, load_master_key
from idp.settings import Settings
from keys.entropy import SystemEntropy
from keys.ring import list_keys, rotate
from tests.support.databases import only_postgresql
from tests.support.relying_party import ALGORITHMS
from tests.support.service import Service
from tests.support.telling import tell

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes"), only_postgresql]

ALGS = ("ES256", "RS256")  # access tokens are signed with the one, the demonstration's ID tokens with the other


@pytest.fixture
def served_settings(served_settings: Settings) -> Settings:
    return served_settings.model_copy(update={"jwks_max_age": 1, "key_refresh_seconds": 1})


@pytest.fixture
async def leader(service: Service) -> AsyncIterator[Provider]:
    """The process that rotates."""
    provider = await Provider.open(service.settings)
    yield provider
    await provider.close()


class CachedKeys:
    """The key set of one process as an app caches it: for as long as the answer allows, and no second less."""

    def __init__(self, service: Service, at: int) -> None:
        self._service = service
        self._at = at
        self._until = 0.0
        self._keys: KeySet | None = None
        self.fetched = 0

    async def get(self) -> KeySet:
        """The set, as of a while ago."""
        if self._keys is None or time.monotonic() >= self._until:
            answer = await self._service.http.get(self._service.processes[self._at].url("/jwks"))
            max_age = int(answer.headers["cache-control"].split("max-age=")[1].split(",")[0])
            self._until = time.monotonic() + max_age
            self._keys = KeySet.import_key_set(answer.json())
            self.fetched += 1
        return self._keys


async def signing(leader: Provider) -> dict[str, str]:
    """Which key signs each algorithm."""
    async with leader.database.reading() as session:
        return {key.alg: key.kid for key in await list_keys(session) if key.state == "signing"}


@pytest.mark.threat("N93")
async def test_no_token_is_ever_unverifiable_during_a_rotation(service: Service, leader: Provider) -> None:
    login = await service.log_in("siti", "health")
    refresh_token = login.refresh_token
    caches = [CachedKeys(service, at) for at in (0, 1)]
    before = await signing(leader)
    async with leader.database.transaction() as session:
        for alg in ALGS:
            await rotate(
                session, load_master_key(leader.settings), alg=alg, now=system_clock(), entropy=SystemEntropy()
            )
    kids: Counter[str] = Counter()
    failures: list[str] = []
    issued = 0
    settings = leader.settings
    publish_for = timedelta(seconds=settings.jwks_max_age + 2 * settings.key_refresh_seconds).total_seconds()
    until = time.monotonic() + publish_for + settings.key_refresh_seconds + 1.5
    while time.monotonic() < until:
        await sweep(leader)
        for at in (0, 1):
            answer = await service.refresh("health", refresh_token, at=at)
            assert answer.status_code == 200, answer.text
            refresh_token = answer.json()["refresh_token"]
            issued += 1
            for token in (answer.json()["access_token"], answer.json()["id_token"]):
                for cache in caches:
                    try:
                        verified = jws.deserialize_compact(token, await cache.get(), algorithms=ALGORITHMS)
                    except (JoseError, ValueError) as unverifiable:
                        failures.append(f"{unverifiable!r}")
                    else:
                        kids[str(verified.headers()["kid"])] += 1
            # Whoever did not sign it believes it too.
            assert await service.userinfo(answer.json()["access_token"], at=1 - at) == 200
        await asyncio.sleep(0.03)
    after = await signing(leader)
    assert not failures, failures[:3]
    assert {alg for alg in ALGS if after[alg] != before[alg]} == set(ALGS), "the rotation was not finished in time"
    for alg in ALGS:
        assert kids[before[alg]] > 0
        assert kids[after[alg]] > 0
    tell(f"{issued} answers, verified {kids.total()} times by 2 caches, {len(failures)} failed; {len(kids)} keys seen")
