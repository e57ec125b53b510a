"""Revocation: an app gives its own tokens back; the consent stays, and other apps' tokens too."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from consent.models import ConsentRecord
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.token_world import App, World

pytestmark = pytest.mark.anyio
OFFLINE = ("openid", "profile", "offline_access")


async def revoke(world: World, app: App, token: str, **form: str) -> int:
    answer = await world.http.post("/revoke", data={"token": token, **form}, headers=app.basic)
    assert answer.content == b""
    return answer.status_code


async def test_a_revoked_access_token_is_dead_and_its_family_lives(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    tokens = await world.tokens(app, siti, scope=OFFLINE)
    assert await revoke(world, app, tokens["access_token"]) == 200
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    assert await world.introspect(app, tokens["access_token"]) == {"active": False}
    assert (await world.refresh(app, tokens["refresh_token"])).status_code == 200
    assert await revoke(world, app, tokens["access_token"]) == 200


async def test_a_revoked_refresh_token_takes_its_family_along_and_leaves_the_consent(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    tokens = await world.tokens(app, siti, scope=OFFLINE)
    assert await revoke(world, app, tokens["refresh_token"]) == 200
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    assert (await world.refresh(app, tokens["refresh_token"])).json()["error"] == "invalid_grant"
    async with world.provider.database.reading() as session:
        assert (await session.execute(select(ConsentRecord.status))).scalar_one() == "given"


@only_sqlite
async def test_a_spent_refresh_token_still_names_its_family(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    first = await world.tokens(app, siti, scope=OFFLINE)
    second = (await world.refresh(app, first["refresh_token"])).json()
    assert await revoke(world, app, first["refresh_token"]) == 200
    assert (await world.userinfo(second["access_token"])).status_code == 401


@pytest.mark.threat("N31")
async def test_another_apps_token_is_left_alone_and_answered_the_same(world: World) -> None:
    app, other, siti = await world.app(), await world.app(), await world.citizen()
    tokens = await world.tokens(app, siti, scope=OFFLINE)
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert await revoke(world, other, token) == 200
    assert (await world.userinfo(tokens["access_token"])).status_code == 200
    assert (await world.refresh(app, tokens["refresh_token"])).status_code == 200


@only_sqlite
async def test_hints_are_only_hints_and_unknown_tokens_are_answered_the_same(world: World, clock: FakeClock) -> None:
    app, siti = await world.app(), await world.citizen()
    tokens = await world.tokens(app, siti, scope=OFFLINE)
    for token in ("x", "a.b.c", "\x00", tokens["id_token"], tokens["access_token"] + "A"):
        assert await revoke(world, app, token, token_type_hint="access_token") == 200
    assert (await world.userinfo(tokens["access_token"])).status_code == 200
    assert await revoke(world, app, tokens["refresh_token"], token_type_hint="access_token") == 200
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    clock.advance(700)
    assert await revoke(world, app, tokens["access_token"], token_type_hint="nonsense") == 200


@only_sqlite
async def test_a_public_app_may_give_its_tokens_back(world: World) -> None:
    app, siti = await world.public_app(), await world.citizen()
    tokens = await world.tokens(app, siti, scope=OFFLINE)
    form = {"token": tokens["refresh_token"], "client_id": app.client_id}
    assert (await world.http.post("/revoke", data=form)).status_code == 200
    assert (await world.userinfo(tokens["access_token"])).status_code == 401


@only_sqlite
@pytest.mark.threat("N31")
async def test_a_stranger_revokes_nothing(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    tokens = await world.tokens(app, siti)
    refused = await world.http.post("/revoke", data={"token": tokens["access_token"]})
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    missing = await world.http.post("/revoke", data={}, headers=app.basic)
    assert missing.status_code == 400
    assert (await world.userinfo(tokens["access_token"])).status_code == 200


@only_sqlite
@pytest.mark.threat("N92")
async def test_a_failing_database_is_never_a_quiet_200(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app, siti = await world.app(), await world.citizen()
    tokens = await world.tokens(app, siti)
    execute = AsyncSession.execute

    async def failing(self: AsyncSession, statement: object, *args: object, **kwargs: object) -> object:
        if str(statement).startswith("UPDATE"):
            raise OperationalError("UPDATE", {}, Exception("gone"))
        return await execute(self, statement, *args, **kwargs)  # type: ignore[call-overload]  # handed through

    with monkeypatch.context() as patched:
        patched.setattr(AsyncSession, "execute", failing)
        with pytest.raises(OperationalError):
            await world.http.post("/revoke", data={"token": tokens["access_token"]}, headers=app.basic)
    assert (await world.userinfo(tokens["access_token"])).status_code == 200
