"""The four ways in which a resource server learns of a withdrawal, each asked right after its commit.

`docs/integrate/resource-servers.md` tells which is for whom.
"""

from collections.abc import Awaitable, Callable

import pytest

from consent.models import ConsentRecord
from tests.idp.status_list.reading import INVALID, SUSPENDED, VALID, status_of
from tests.idp.test_provider_checks import by_token, presented
from tests.support.provider_world import CARD, ProviderWorld, new_provider_world
from tests.support.token_world import World

pytestmark = pytest.mark.anyio
Way = Callable[[ProviderWorld, str], Awaitable[object]]


@pytest.fixture
async def stage(world: World) -> ProviderWorld:
    return await new_provider_world(world)


async def by_introspection(stage: ProviderWorld, token: str) -> object:
    return (await stage.world.introspect(stage.callers["dukcapil"], token))["active"]


async def by_check(stage: ProviderWorld, _token: str) -> object:
    return (await stage.check())["permitted"]


async def by_check_of_the_token(stage: ProviderWorld, token: str) -> object:
    return (await stage.check(**by_token(token)))["permitted"]


async def by_authzen(stage: ProviderWorld, _token: str) -> object:
    body = {
        "subject": {"type": "user", "id": stage.sub},
        "action": {"name": "read"},
        "resource": {"type": "data_item", "id": CARD},
        "context": {"client_id": stage.app.client_id, "purpose": stage.world.purpose.code},
    }
    answer = await stage.http.post("/access/v1/evaluation", json=body, headers=await stage.bearer("dukcapil"))
    return answer.json()["decision"]


async def by_status_list(stage: ProviderWorld, token: str) -> object:
    return await status_of(stage.http, token)


WAYS: list[Way] = [by_introspection, by_check, by_check_of_the_token, by_authzen, by_status_list]


async def test_a_withdrawal_is_known_everywhere_with_its_commit(stage: ProviderWorld) -> None:
    token = await presented(stage)
    assert [await way(stage, token) for way in WAYS] == [True, True, True, True, VALID]
    await stage.world.withdraw(stage.siti, stage.world.consents[stage.app.client_id])
    assert [await way(stage, token) for way in WAYS] == [False, False, False, False, INVALID]


async def test_a_pause_is_known_everywhere_and_so_is_its_end(stage: ProviderWorld) -> None:
    token = await presented(stage)
    await stage.change(ConsentRecord, status="paused")
    assert [await way(stage, token) for way in WAYS] == [False, False, False, False, SUSPENDED]
    await stage.change(ConsentRecord, status="given")
    assert [await way(stage, token) for way in WAYS] == [True, True, True, True, VALID]


async def test_a_token_that_the_app_gave_back_is_no_withdrawal(stage: ProviderWorld) -> None:
    """The token is dead wherever the token is asked about; what the person agreed to is as it was."""
    token = await presented(stage)
    await stage.http.post("/revoke", data={"token": token}, headers=stage.app.basic)
    assert [await way(stage, token) for way in WAYS] == [False, True, False, True, INVALID]
