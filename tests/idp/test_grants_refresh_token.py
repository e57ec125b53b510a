"""Refresh tokens: each is used once, a lost answer can be asked for again, and a thief ends the family."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from idp.accounts.directory import disable_account, set_password
from idp.audit import AuditEvent
from idp.clients.management import disable_client
from idp.clients.models import Client
from idp.grants.refresh_token import Link, Use, judge
from idp.provider import Provider
from idp.sessions.store import end_session
from idp.tokens.models import Authorization, RefreshToken
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.token_world import App, Citizen, World, claims_in

pytestmark = pytest.mark.anyio

OFFLINE = ("openid", "profile", "email", "offline_access")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


async def offline(world: World, **changes: Any) -> tuple[App, Citizen, dict[str, Any]]:
    app, siti = await world.app(**changes), await world.citizen()
    return app, siti, await world.tokens(app, siti, scope=OFFLINE)


@pytest.mark.parametrize(
    ("link", "use"),
    [
        (Link(None, False, None), Use.FIRST),
        (Link(NOW, True, None), Use.RETRY),
        (Link(NOW - timedelta(seconds=9.9), True, None), Use.RETRY),
        (Link(NOW - timedelta(seconds=10), True, None), Use.REUSE),
        (Link(NOW, False, None), Use.REUSE),
        (Link(NOW - timedelta(seconds=2), True, NOW - timedelta(seconds=1)), Use.REUSE),
    ],
)
def test_a_spent_token_may_be_asked_about_again_only_at_once_and_before_its_successor_is_used(
    link: Link, use: Use
) -> None:
    assert judge(link, now=NOW, retry_window=timedelta(seconds=10)) is use


def test_without_a_window_every_second_use_is_reuse() -> None:
    assert judge(Link(NOW, True, None), now=NOW, retry_window=timedelta(0)) is Use.REUSE


async def test_a_refresh_gives_new_tokens_and_a_new_refresh_token(world: World) -> None:
    app, _siti, first = await offline(world)
    answer = await world.refresh(app, first["refresh_token"])
    assert answer.status_code == 200
    second = answer.json()
    assert second["refresh_token"] != first["refresh_token"]
    assert len(second["refresh_token"]) == 43
    assert second["scope"] == "openid profile email offline_access"
    assert (await world.userinfo(second["access_token"])).json()["name"] == "Siti Rahayu"
    before, after = claims_in(first["id_token"]), claims_in(second["id_token"])
    assert {name: before[name] for name in ("iss", "sub", "aud", "auth_time", "sid")} == {
        name: after[name] for name in ("iss", "sub", "aud", "auth_time", "sid")
    }
    assert ("nonce" in before, "nonce" in after) == (True, False)


@pytest.mark.threat("N28")
async def test_a_spent_refresh_token_ends_the_whole_family_and_is_recorded(world: World, clock: FakeClock) -> None:
    app, _siti, first = await offline(world)
    second = (await world.refresh(app, first["refresh_token"])).json()
    clock.advance(11)
    reused = await world.refresh(app, first["refresh_token"])
    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
    assert (await world.refresh(app, second["refresh_token"])).json()["error"] == "invalid_grant"
    for tokens in (first, second):
        assert (await world.userinfo(tokens["access_token"])).status_code == 401
        assert await world.introspect(app, tokens["access_token"]) == {"active": False}
    async with world.provider.database.reading() as session:
        assert (await session.execute(select(Authorization.revoked_because))).scalar_one() == "refresh_reuse"
        kinds = (await session.execute(select(AuditEvent.kind))).scalars().all()
    assert "token.refresh_replayed" in kinds


@pytest.mark.threat("N28")
async def test_a_thief_who_uses_the_successor_betrays_the_family_even_within_the_window(world: World) -> None:
    app, _siti, first = await offline(world)
    second = (await world.refresh(app, first["refresh_token"])).json()
    third = (await world.refresh(app, second["refresh_token"])).json()
    assert (await world.refresh(app, first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await world.refresh(app, third["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_lost_answer_can_be_asked_for_again_and_leads_to_the_same_successor(
    world: World, clock: FakeClock
) -> None:
    app, _siti, first = await offline(world)
    lost = (await world.refresh(app, first["refresh_token"])).json()
    clock.advance(9)
    retried = (await world.refresh(app, first["refresh_token"])).json()
    assert retried["refresh_token"] == lost["refresh_token"]
    assert retried["access_token"] != lost["access_token"]
    assert (await world.refresh(app, retried["refresh_token"])).status_code == 200


@pytest.mark.threat("N28")
async def test_ten_parallel_refreshes_make_one_lineage(world: World) -> None:
    app, _siti, first = await offline(world)
    answers = await asyncio.gather(*(world.refresh(app, first["refresh_token"]) for _ in range(10)))
    assert [answer.status_code for answer in answers] == [200] * 10
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    async with world.provider.database.reading() as session:
        rows = await session.execute(select(func.count()).select_from(RefreshToken))
        unused = await session.execute(select(func.count()).where(RefreshToken.rotated_at.is_(None)))
        assert (rows.scalar_one(), unused.scalar_one()) == (2, 1)


@pytest.mark.threat("N28", "N92")
async def test_reuse_is_seen_by_another_process_and_after_a_restart(world: World, clock: FakeClock) -> None:
    app, _siti, first = await offline(world)
    await world.refresh(app, first["refresh_token"])
    clock.advance(11)
    restarted = await Provider.open(world.provider.settings, clock=clock)
    try:
        world.http._transport.app.state.provider = restarted  # type: ignore[attr-defined]  # the app in the transport
        assert (await world.refresh(app, first["refresh_token"])).json()["error"] == "invalid_grant"
    finally:
        await restarted.close()


@only_sqlite
@pytest.mark.threat("N29", "N34")
async def test_the_scope_can_be_narrowed_and_never_widened(world: World) -> None:
    app, _siti, tokens = await offline(world)
    wider = await world.refresh(app, tokens["refresh_token"], scope="openid profile email identity")
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope")
    narrowed = (await world.refresh(app, tokens["refresh_token"], scope="openid")).json()
    assert narrowed["scope"] == "openid"
    assert (await world.userinfo(narrowed["access_token"])).json().keys() == {"sub"}
    whole = (await world.refresh(app, narrowed["refresh_token"])).json()
    assert whole["scope"] == "openid profile email offline_access"


@only_sqlite
async def test_a_mistaken_request_does_not_spend_the_token(world: World, clock: FakeClock) -> None:
    app, _siti, tokens = await offline(world)
    assert (await world.refresh(app, tokens["refresh_token"], scope="nonsense")).status_code == 400
    assert (await world.refresh(app, tokens["refresh_token"], resource="https://no.test")).status_code == 400
    clock.advance(60)
    assert (await world.refresh(app, tokens["refresh_token"])).status_code == 200


@only_sqlite
@pytest.mark.threat("N34")
async def test_a_scope_that_was_taken_from_the_app_is_not_given_again(world: World, clock: FakeClock) -> None:
    app, _siti, tokens = await offline(world)
    async with world.provider.database.transaction() as session:
        await session.execute(update(Client).values(scopes=["openid", "profile", "offline_access"]))
    clock.advance(6)
    assert (await world.refresh(app, tokens["refresh_token"])).json()["scope"] == "openid profile offline_access"


@pytest.mark.threat("N29")
async def test_another_app_cannot_use_a_refresh_token_nor_end_it(world: World) -> None:
    app, _siti, tokens = await offline(world)
    other = await world.app()
    stolen = await world.refresh(other, tokens["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert (await world.refresh(app, tokens["refresh_token"])).status_code == 200


@pytest.mark.threat("N29")
@pytest.mark.parametrize("cause", ["consent", "account", "password", "client"])
async def test_a_refresh_token_dies_with_what_it_rests_on(world: World, clock: FakeClock, cause: str) -> None:
    app, siti, tokens = await offline(world)
    clock.advance(1)
    if cause == "consent":
        await world.withdraw(siti, world.consents[app.client_id])
    async with world.provider.database.transaction() as session:
        if cause == "account":
            await disable_account(session, username="siti", now=clock())
        elif cause == "password":
            await set_password(session, siti.account_id, password_hash="x", now=clock())
        elif cause == "client":
            await disable_client(session, app.client_id, now=clock())
    refused = await world.refresh(app, tokens["refresh_token"])
    # The app itself is still in the cache of registrations here: what refuses is the row.
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


@only_sqlite
async def test_logging_out_leaves_offline_access_alive(world: World, clock: FakeClock) -> None:
    app, siti, tokens = await offline(world)
    async with world.provider.database.transaction() as session:
        await end_session(session, siti.login.session_id, now=clock())
    assert (await world.refresh(app, tokens["refresh_token"])).status_code == 200


@only_sqlite
@pytest.mark.threat("N29")
async def test_a_family_ends_when_it_is_idle_or_too_old(world: World, clock: FakeClock) -> None:
    app, siti, tokens = await offline(world)
    clock.advance(days=29)
    kept = (await world.refresh(app, tokens["refresh_token"])).json()
    clock.advance(days=30)
    assert (await world.refresh(app, kept["refresh_token"])).json()["error"] == "invalid_grant"

    now = clock()
    fresh = await world.tokens(app, siti, scope=OFFLINE)
    async with world.provider.database.transaction() as session:
        await session.execute(
            update(Authorization)
            .where(Authorization.created_at == now)
            .values(refresh_expires_at=now + timedelta(days=1))
        )
    clock.advance(days=1)
    assert (await world.refresh(app, fresh["refresh_token"])).json()["error"] == "invalid_grant"


@only_sqlite
async def test_a_successor_never_lives_longer_than_its_family(world: World, clock: FakeClock) -> None:
    app, _siti, tokens = await offline(world)
    ends = clock() + timedelta(days=2)
    async with world.provider.database.transaction() as session:
        await session.execute(update(Authorization).values(refresh_expires_at=ends))
    await world.refresh(app, tokens["refresh_token"])
    async with world.provider.database.reading() as session:
        latest = select(RefreshToken.expires_at).where(RefreshToken.rotated_at.is_(None))
        assert (await session.execute(latest)).scalar_one() == ends


@only_sqlite
@pytest.mark.threat("N30", "N32")
async def test_what_is_no_refresh_token_is_refused(world: World) -> None:
    app, _siti, tokens = await offline(world)
    real = tokens["refresh_token"]
    for wrong in (tokens["access_token"], tokens["id_token"], real[:-1], real + "A", "x", "\x00", "é" * 43):
        refused = await world.refresh(app, wrong)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    missing = await world.token(app, grant_type="refresh_token")
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")


@only_sqlite
async def test_no_refresh_token_without_offline_access_or_without_the_grant(world: World) -> None:
    siti = await world.citizen()
    online = await world.app()
    assert "refresh_token" not in await world.tokens(online, siti)
    scopes = ("openid", "profile", "email")
    without = await world.app(grant_types=("authorization_code",), scopes=scopes)
    assert "refresh_token" not in await world.tokens(without, siti, scope=OFFLINE)


@only_sqlite
@pytest.mark.threat("N91")
async def test_the_database_keeps_no_refresh_token_and_no_code(world: World) -> None:
    app, _siti, tokens = await offline(world)
    dumped = b""
    for path in world.provider.settings.data_dir.glob("satupintu.db*"):
        dumped += path.read_bytes()
    assert dumped
    for secret in (tokens["refresh_token"], tokens["access_token"], tokens["id_token"], app.secret):
        assert secret.encode() not in dumped
