"""Guessing passwords, from one place or many, and what is kept of it."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from idp.audit import AuditEvent
from idp.browser import SESSION_COOKIE
from idp.database import Database
from idp.login.endpoint import TOO_MANY
from idp.login.known_browsers import KnownBrowser
from idp.provider import Provider
from idp.schema import METADATA
from tests.idp.authorize_world import PASSWORD, World, make_world
from tests.idp.login_page import at_login, hidden, post, rows
from tests.support.browser_user import BrowserUser

pytestmark = pytest.mark.anyio

NewUser = Callable[[], BrowserUser]


@pytest.fixture
async def world(provider: Provider) -> World:
    return await make_world(provider)


# --- guessing ---


@pytest.mark.threat("N73")
async def test_fifty_guesses_at_once_get_ten_answers_and_then_even_the_right_one_waits(
    world: World, user: BrowserUser
) -> None:
    await at_login(user, world)
    fields = hidden(user)
    guesses = [{**fields, "username": "siti", "password": f"wrong password {number}"} for number in range(50)]
    answers = await asyncio.gather(*(post(user, guess) for guess in guesses))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(400), statuses.count(429)) == (10, 40)
    late = await post(user, {**fields, "username": "siti", "password": PASSWORD})
    assert late.status_code == 429
    assert TOO_MANY in late.text
    assert 0 < int(late.headers["retry-after"]) <= 901
    kinds = [event.kind for event in await rows(world.provider.database, AuditEvent)]
    assert (kinds.count("login.refused"), kinds.count("login.throttled")) == (10, 1)


@pytest.mark.threat("N72")
async def test_a_name_that_nobody_has_is_throttled_just_the_same(world: World, user: BrowserUser) -> None:
    await at_login(user, world)
    fields = {**hidden(user), "username": "nobody", "password": "x"}
    statuses = [(await post(user, fields)).status_code for _ in range(12)]
    assert statuses == [400] * 10 + [429] * 2


@pytest.mark.threat("N73")
async def test_an_attacker_cannot_lock_a_citizen_out_of_their_own_browser(
    world: World, user: BrowserUser, new_user: NewUser
) -> None:
    await at_login(user, world)
    await user.log_in("siti", PASSWORD)
    attacker = await at_login(new_user(), world)
    fields = hidden(attacker)
    for _ in range(15):
        last = await post(attacker, {**fields, "username": "siti", "password": "guess"})
    assert last.status_code == 429
    user.client.cookies.delete(SESSION_COOKIE)  # signed out, at the same address, in the same browser
    await at_login(user, world)
    await user.log_in("siti", PASSWORD)
    assert user.page.path == "/consent"
    stranger = await at_login(new_user(), world)
    await stranger.log_in("siti", PASSWORD)
    assert stranger.page.status == 429


@pytest.mark.threat("N73")
async def test_a_forged_forwarding_header_gives_no_fresh_guesses(world: World, user: BrowserUser) -> None:
    await at_login(user, world)
    fields = {**hidden(user), "username": "siti", "password": "guess"}
    statuses = []
    for number in range(12):
        forged = {"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"}
        statuses.append((await post(user, fields, **forged)).status_code)
    assert statuses[-2:] == [429, 429]


async def test_a_success_gives_the_failures_before_it_back(world: World, user: BrowserUser, new_user: NewUser) -> None:
    for _ in range(3):
        guest = await at_login(new_user(), world)
        fields = hidden(guest)
        for _ in range(9):
            assert (await post(guest, {**fields, "username": "siti", "password": "typo"})).status_code == 400
        answer = await post(guest, {**fields, "username": "siti", "password": PASSWORD})
        assert answer.status_code == 303


async def test_a_browser_is_remembered_for_the_person_who_logged_in_only(world: World, user: BrowserUser) -> None:
    await at_login(user, world)
    await user.log_in("siti", PASSWORD)
    known = await rows(world.provider.database, KnownBrowser)
    assert [(row.account_id, row.last_at) for row in known] == [(world.siti, world.provider.clock())]


# --- what is kept ---


@pytest.mark.threat("N91")
async def test_no_password_cookie_or_token_is_kept_or_logged_anywhere(world: World, user: BrowserUser) -> None:
    canary = "CANARY-a-password-typed-by-mistake"
    with capture_logs() as lines:
        await at_login(user, world)
        await user.log_in("siti", canary)
        await user.log_in(canary, "x")  # people type their password where the username goes
        await user.log_in("siti", PASSWORD)
    secrets = [canary, PASSWORD, *(str(cookie.value) for cookie in user.client.cookies.jar)]
    kept = await everything(world.provider.database)
    for secret in secrets:
        assert secret.casefold() not in repr(lines).casefold()
        assert secret.casefold() not in kept.casefold()


async def everything(database: Database) -> str:
    """The whole database as text."""
    async with database.reading() as session:
        tables = [table for metadata in METADATA for table in metadata.sorted_tables]
        found = [(await session.execute(text(f'SELECT * FROM "{table.name}"'))).all() for table in tables]
    return repr(found)
