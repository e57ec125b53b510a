"""What a list says of a token is what every other endpoint says of it, whatever ended it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent import gate
from consent.models import Agency, ConsentRecord, PurposeVersion
from consent.registry.models import Agreement, AgreementVersion
from idp.accounts.models import Account
from idp.clients.management import disable_client
from idp.clients.models import Client
from idp.sessions.models import LoginSession
from idp.tokens import liveness
from idp.tokens.models import Authorization
from keys.entropy import new_id
from tests.idp.status_list.reading import INVALID, SUSPENDED, VALID, status_of
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.token_world import World

pytestmark = pytest.mark.anyio
Change = Callable[[World, AsyncSession], Awaitable[object]]


def setting(table: type[Any], **values: Any) -> Change:
    """Every row of a table gets these values: the test has one of each."""

    async def change(_world: World, session: AsyncSession) -> None:
        await session.execute(update(table).values(**values).execution_options(synchronize_session=False))

    return change


def at_once(table: type[Any], column: str, *, seconds: int = 0) -> Change:
    """A moment, counted from now."""

    async def change(world: World, session: AsyncSession) -> None:
        await setting(table, **{column: world.provider.clock() + timedelta(seconds=seconds)})(world, session)

    return change


def a_stranger(table: type[Any], column: str) -> Change:
    """Another id than the one that fits."""

    async def change(world: World, session: AsyncSession) -> None:
        await setting(table, **{column: new_id(world.provider.entropy)})(world, session)

    return change


def agreement(status: str = "active", *, begins: int = -10, ends: int = 10) -> Change:
    """The consent rests on an agreement of this status and time."""

    async def change(world: World, session: AsyncSession) -> None:
        now, entropy = world.provider.clock(), world.provider.entropy
        ids = {"id": new_id(entropy)}
        await session.execute(
            insert(Agreement).values(
                **ids,
                code="pks-1",
                provider_agency_id=world.agency_id,
                recipient_agency_id=world.agency_id,
                purpose_id=world.purpose.purpose_id,
                created_at=now,
            )
        )
        version = new_id(entropy)
        await session.execute(
            insert(AgreementVersion).values(
                id=version,
                agreement_id=ids["id"],
                version=1,
                instrument={},
                items=[],
                valid_from=now + timedelta(days=begins),
                valid_until=now + timedelta(days=ends),
                fetch_type="periodic",
                data_life_days=1,
                status=status,
                digest=bytes(32),
                created_at=now,
                created_by="operator",
            )
        )
        await setting(ConsentRecord, agreement_version_id=version)(world, session)

    return change


async def hand_on(world: World, session: AsyncSession) -> None:
    """The app becomes another agency's."""
    await a_stranger(Client, "agency_id")(world, session)


async def disable(world: World, session: AsyncSession) -> None:
    """An operator disables the app."""
    (client_id,) = world.consents
    await disable_client(session, client_id, now=world.provider.clock())


# By the check that notices it: what can happen to a token while it lives.
ENDINGS: dict[str, list[Change]] = {
    "not_revoked": [at_once(Authorization, "revoked_at")],
    "client_is_live": [disable],
    "account_is_enabled": [at_once(Account, "disabled_at"), a_stranger(Authorization, "account_id")],
    "password_is_older": [at_once(Account, "password_changed_at", seconds=1)],
    "offline_access_is_given": [],  # with a token of its own, below
    "session_goes_on": [at_once(LoginSession, "ended_at"), a_stranger(Authorization, "session_id")],
    "is_there": [a_stranger(Authorization, "consent_id")],
    "is_this_apps": [setting(ConsentRecord, client_id="another")],
    "is_this_persons": [a_stranger(ConsentRecord, "subject_id")],
    "is_this_agencys": [hand_on],
    "is_given": [
        setting(ConsentRecord, status=status)
        for status in ("withdrawn", "revoked", "invalidated", "expired", "superseded", "refused", "unknown")
    ],
    "is_in_time": [at_once(ConsentRecord, "valid_until")],
    "purpose_goes_on": [setting(PurposeVersion, status="ended")],
    "agency_is_active": [setting(Agency, status="suspended")],
    "agreement_goes_on": [agreement("ended"), agreement(ends=0), agreement(begins=1)],
}
# Asked at each use, and nothing that a token dies of.
ONLY_AT_A_USE = {"is_for_this_purpose", "uses_are_left", "items_are_granted"}
WELL: dict[str, Change] = {
    "renewed": setting(ConsentRecord, status="renewed"),
    "no end": setting(ConsentRecord, valid_until=None),
    "superseded version": setting(PurposeVersion, status="superseded"),
    "agreement": agreement(),
    "older password": at_once(Account, "password_changed_at"),
    "uses are spent": setting(ConsentRecord, fetch_type="onetime", used=1),
}


def test_every_check_has_something_that_makes_it_fail_here() -> None:
    """A check that comes later must be known to the list too: then this fails, and says where to look."""
    names = {check.__name__ for check in (*liveness.CHECKS, *gate.CHECKS)}
    assert names == ENDINGS.keys() | ONLY_AT_A_USE


async def change_something(world: World, change: Change) -> None:
    async with world.provider.database.transaction() as session:
        await change(world, session)
    world.provider.clients.forget()


@pytest.mark.parametrize(
    "change",
    [change for changes in ENDINGS.values() for change in changes],
    ids=[f"{name}-{place}" for name, changes in ENDINGS.items() for place in range(len(changes))],
)
async def test_what_ends_a_token_ends_it_on_the_list_too(world: World, change: Change) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    assert await status_of(world.http, token) == VALID
    await change_something(world, change)
    assert await status_of(world.http, token) == INVALID
    assert (await world.userinfo(token)).status_code == 401


@pytest.mark.parametrize("change", WELL.values(), ids=WELL)
async def test_what_ends_nothing_leaves_it_valid(world: World, change: Change) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    await change_something(world, change)
    assert await status_of(world.http, token) == VALID
    assert (await world.introspect(app, token))["active"] is True


async def test_offline_access_that_is_taken_back_ends_its_tokens(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti, scope=("openid", "offline_access")))["access_token"]
    await change_something(world, at_once(LoginSession, "ended_at"))
    assert await status_of(world.http, token) == VALID
    await change_something(world, setting(ConsentRecord, offline_access=False))
    assert await status_of(world.http, token) == INVALID


async def test_a_paused_consent_suspends_and_comes_back(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    await change_something(world, setting(ConsentRecord, status="paused"))
    assert await status_of(world.http, token) == SUSPENDED
    assert (await world.userinfo(token)).status_code == 401
    await change_something(world, setting(ConsentRecord, status="given"))
    assert await status_of(world.http, token) == VALID
    await change_something(world, setting(ConsentRecord, status="paused", valid_until=world.provider.clock()))
    assert await status_of(world.http, token) == INVALID


async def test_a_token_that_is_given_back_ends_alone(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    first = await world.tokens(app, siti, scope=("openid", "offline_access"))
    second = (await world.refresh(app, first["refresh_token"])).json()
    await world.http.post("/revoke", data={"token": first["access_token"]}, headers=app.basic)
    assert await status_of(world.http, first["access_token"]) == INVALID
    assert await status_of(world.http, second["access_token"]) == VALID


async def test_an_apps_own_token_has_a_place_as_well(world: World) -> None:
    app = await world.app()
    token = (await world.token(app, grant_type="client_credentials", scope="reports:read")).json()["access_token"]
    assert await status_of(world.http, token) == VALID
    world.consents[app.client_id] = ""
    await change_something(world, disable)
    assert await status_of(world.http, token) == INVALID


@only_sqlite
async def test_a_list_is_served_for_as_long_as_a_token_on_it_may_live(world: World, clock: FakeClock) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    clock.advance(599)
    assert await status_of(world.http, token) == VALID
    clock.advance(24 * 3600)
    assert (await world.http.get("/status-lists/0")).status_code == 404
    assert (await world.http.get("/status-lists")).json() == {"status_lists": []}
