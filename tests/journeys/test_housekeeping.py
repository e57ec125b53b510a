"""What is done by the clock, by one process at a time."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from consent.models import ConsentEvent, ConsentRecord
from idp.housekeeping import STEPS, Housekeeping, leadership, sweep
from idp.provider import Provider
from idp.replay import UsedOnce, use_once
from idp.sessions.models import LoginSession
from idp.tokens.models import AccessToken, Authorization, RefreshToken
from keys.models import SigningKey
from keys.ring import rotate
from keys.sealing import MasterKey
from tests.support.browser_user import BrowserUser
from tests.support.clock import FakeClock
from tests.support.databases import only_postgresql
from tests.support.settings import MASTER_KEY
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def log_in(world: World, user: BrowserUser, username: str = "siti") -> None:
    """Somebody logs in to the health app and agrees."""
    app = world.app("health")
    await user.open(await app.authorization_url(scope=world.scope("health")))
    await user.log_in(username, world.password(username))
    await user.allow()
    await app.finish(user.callback_parameters)


async def test_a_consent_whose_time_is_over_gets_its_event(
    provider: Provider, world: World, user: BrowserUser, clock: FakeClock
) -> None:
    await log_in(world, user)
    await sweep(provider)
    clock.advance(days=181)
    assert (await sweep(provider))["expire_consents"] == 1
    assert (await sweep(provider))["expire_consents"] == 0
    async with provider.database.reading() as session:
        kinds = (await session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.seq))).all()
        status = await session.scalar(select(ConsentRecord.status))
    assert (kinds, status) == (["granted", "expired"], "expired")


async def test_what_expired_a_day_ago_is_deleted_and_nothing_before(
    provider: Provider, world: World, user: BrowserUser, clock: FakeClock
) -> None:
    await log_in(world, user)
    for kind, ends in (("old", timedelta(0)), ("new", timedelta(days=3))):
        async with provider.database.transaction() as session:
            await use_once(session, kind=kind, issuer="app", identifier="same", expires_at=clock() + ends)
    clock.advance(hours=12)
    await sweep(provider)
    async with provider.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(AccessToken)) == 1
    clock.advance(hours=25)
    await sweep(provider)
    async with provider.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(AccessToken)) == 0
        assert (await session.scalars(select(UsedOnce.kind))).all() == ["new"]


async def test_a_rotation_goes_on_by_itself_once_caches_know_the_new_key(provider: Provider, clock: FakeClock) -> None:
    async with provider.database.transaction() as session:
        kid = await rotate(
            session, MasterKey.from_base64(MASTER_KEY), alg="ES256", now=clock(), entropy=provider.entropy
        )
    clock.advance(seconds=provider.settings.jwks_max_age)
    await sweep(provider)
    assert await state_of(provider, kid) == "pending"
    clock.advance(seconds=2 * provider.settings.key_refresh_seconds + 1)
    await sweep(provider)
    assert await state_of(provider, kid) == "signing"


async def state_of(provider: Provider, kid: str) -> str | None:
    """A key's state."""
    async with provider.database.reading() as session:
        state: str | None = await session.scalar(select(SigningKey.state).where(SigningKey.kid == kid))
        return state


@only_postgresql
async def test_while_one_process_sweeps_another_does_not(provider: Provider) -> None:
    async with provider.database.transaction() as session, leadership(provider, session) as leads:
        assert leads
        assert await sweep(provider) == {}
    assert len(await sweep(provider)) == len(STEPS)


async def test_the_sweeper_survives_a_step_that_fails(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.housekeeping.EVERY_SECONDS", 0.02)
    rounds = 0

    async def failing(_provider: Provider) -> dict[str, int]:
        nonlocal rounds
        rounds += 1
        raise RuntimeError("the database went away")

    monkeypatch.setattr("idp.housekeeping.sweep", failing)
    async with Housekeeping(provider):
        for _ in range(200):
            if rounds >= 2:
                break
            await asyncio.sleep(0.02)
    assert rounds >= 2


async def test_a_sweep_goes_on_until_nothing_is_left(
    provider: Provider,
    world: World,
    new_user: Callable[[], BrowserUser],
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch a minute would fall behind for ever."""
    monkeypatch.setattr("idp.housekeeping.BATCH", 1)
    for username in ("siti", "budi"):
        await log_in(world, new_user(), username)
    for number in range(3):
        async with provider.database.transaction() as session:
            await use_once(session, kind="jti", issuer="app", identifier=f"{number}", expires_at=clock())
    clock.advance(days=182)
    done = await sweep(provider)
    assert done["expire_consents"] == 2
    async with provider.database.reading() as session:
        for table in (UsedOnce, AccessToken, RefreshToken, Authorization, LoginSession):
            assert await session.scalar(select(func.count()).select_from(table)) == 0, table
        assert await session.scalar(select(func.count()).select_from(ConsentRecord)) == 2
