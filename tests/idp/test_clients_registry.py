"""The registry of apps: cached for seconds, bounded, and never a way to ask the database anything strange."""

from typing import Any

import pytest
from sqlalchemy import update

from idp.clients.management import disable_client
from idp.clients.models import Client
from idp.clients.registry import ClientRegistry
from tests.support.assertions import AssertionKey
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.statements import statements
from tests.support.token_world import World

pytestmark = pytest.mark.anyio


def registry(world: World, **changes: Any) -> ClientRegistry:
    return ClientRegistry(world.provider.database, **{"max_age": 5, **changes})


async def test_a_registration_is_read_once_in_five_seconds(world: World, clock: FakeClock) -> None:
    app, known = await world.app(), registry(world)
    with statements(world.provider.database) as seen:
        first = await known.get(app.client_id, clock())
        clock.advance(4.9)
        assert await known.get(app.client_id, clock()) is first
    assert len(seen) == 1
    clock.advance(0.1)
    with statements(world.provider.database) as seen:
        assert await known.get(app.client_id, clock()) is not first
    assert len(seen) == 1


async def test_what_is_read_is_frozen_and_has_its_keys_parsed(world: World, clock: FakeClock) -> None:
    key = AssertionKey()
    app = await world.app(token_endpoint_auth_method="private_key_jwt", jwks=key.jwks, names={"en": "Health"})
    client = await registry(world).get(app.client_id, clock())
    assert client is not None
    assert len(client.verification_keys) == 1
    assert client.verification_keys.find(key.jwk["kid"], "ES256").kid == key.jwk["kid"]
    assert client.name("id") == client.name("en") == "Health"
    with pytest.raises(AttributeError):
        client.status = "disabled"  # type: ignore[misc]  # the point of the test
    with pytest.raises(TypeError):
        client.names["id"] = "x"  # type: ignore[index]  # the point of the test


@only_sqlite
async def test_a_disabled_app_is_gone_for_endpoints_and_found_for_pages(world: World, clock: FakeClock) -> None:
    app, known = await world.app(), registry(world, max_age=0)
    assert await known.get(app.client_id, clock()) is not None
    async with world.provider.database.transaction() as session:
        await disable_client(session, app.client_id, now=clock())
    assert await known.get(app.client_id, clock()) is None
    found = await known.find(app.client_id, clock())
    assert found is not None
    assert not found.is_live


@only_sqlite
@pytest.mark.threat("N87", "N89")
async def test_ids_that_nobody_can_have_never_reach_the_database(world: World, clock: FakeClock) -> None:
    known = registry(world)
    with statements(world.provider.database) as seen:
        for client_id in ("", "\x00", "a\x00b", "x" * 201, "é", "a b", "'--", "\n", "a\n"):
            assert await known.get(client_id, clock()) is None
    assert seen == []


@only_sqlite
@pytest.mark.threat("N87")
async def test_the_memory_is_bounded_and_unknown_ids_push_out_only_each_other(world: World, clock: FakeClock) -> None:
    known = registry(world, capacity=2, unknown_capacity=3)
    apps = [await world.app() for _ in range(3)]
    for app in apps:
        await known.get(app.client_id, clock())
    for number in range(50):
        await known.get(f"nobody-{number}", clock())
    with statements(world.provider.database) as seen:
        for app in reversed(apps[1:]):
            await known.get(app.client_id, clock())
        for number in (49, 48, 47):
            await known.get(f"nobody-{number}", clock())
    assert seen == []
    with statements(world.provider.database) as seen:
        await known.get(apps[0].client_id, clock())
        await known.get("nobody-0", clock())
    assert len(seen) == 2


@only_sqlite
async def test_a_broken_key_set_leaves_the_app_known_and_without_keys(world: World, clock: FakeClock) -> None:
    app = await world.app()
    async with world.provider.database.transaction() as session:
        await session.execute(update(Client).values(jwks={"keys": "broken"}))
    client = await registry(world).get(app.client_id, clock())
    assert client is not None
    assert len(client.verification_keys) == 0


async def test_origins_are_those_of_live_apps_and_read_as_a_whole(world: World, clock: FakeClock) -> None:
    known = registry(world)
    app = await world.public_app(web_origins=("https://a.test", "https://b.test"))
    await world.app()
    with statements(world.provider.database) as seen:
        assert await known.is_web_origin("https://b.test", clock())
        for number in range(20):
            assert not await known.is_web_origin(f"https://evil{number}.test", clock())
    assert len(seen) == 1
    async with world.provider.database.transaction() as session:
        await disable_client(session, app.client_id, now=clock())
    clock.advance(5)
    assert not await known.is_web_origin("https://a.test", clock())
