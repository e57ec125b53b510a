"""The login page, through HTTP, on both databases."""

import re
import statistics
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import update

from idp.accounts.directory import disable_account
from idp.accounts.models import Account
from idp.audit import AuditEvent
from idp.browser import BROWSER_COOKIE, SESSION_COOKIE, csrf_token, decode_secret
from idp.interaction.models import Interaction
from idp.login.endpoint import BUSY, INCOMPLETE, WRONG
from idp.provider import Provider
from idp.sessions.models import LoginSession
from tests.idp.authorize_world import PASSWORD, World, make_world
from tests.idp.login_page import at_login, hidden, post, rows
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite

pytestmark = pytest.mark.anyio

NewUser = Callable[[], BrowserUser]


@pytest.fixture
async def world(provider: Provider) -> World:
    return await make_world(provider)


# --- logging in ---


@pytest.mark.threat("N19")
async def test_the_right_password_signs_in_and_answers_with_303(world: World, user: BrowserUser) -> None:
    await at_login(user, world)
    answer = await post(user, {**hidden(user), "username": "Siti", "password": PASSWORD})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/consent?interaction=")
    assert "no-store" in answer.headers["cache-control"]
    (event,) = await rows(world.provider.database, AuditEvent)
    (session,) = await rows(world.provider.database, LoginSession)
    assert (event.kind, event.account_id, event.session_id) == ("login.succeeded", world.siti, session.id)
    assert (session.acr, session.amr) == ("urn:satupintu:acr:password", ["pwd"])


@only_sqlite
async def test_the_page_says_which_app_asks_and_works_without_javascript(world: World, user: BrowserUser) -> None:
    await at_login(user, world, login_hint="siti")
    assert "Healthy Together" in user.page.text
    form = user.page.form_with("username")
    assert {field.id: field.value for field in form.fields if field.kind != "hidden"} == {
        "username": "siti",
        "password": "",
    }
    assert not any(tag == "script" for tag, _ in user.page.document.elements)


async def test_a_login_of_our_own_begins_and_ends_at_home(world: World, user: BrowserUser) -> None:
    await user.open("/login")
    assert user.page.path == "/login"
    await user.log_in("siti", PASSWORD)
    assert user.page.path == "/"
    assert "Siti" in user.page.text


@pytest.mark.threat("N66")
async def test_the_session_cookie_changes_at_login_and_a_planted_one_stays_worthless(
    world: World, user: BrowserUser, new_user: NewUser
) -> None:
    planted = "P" * 43
    user.client.cookies.set(SESSION_COOKIE, planted, domain="idp.test", path="/")
    await at_login(user, world)
    await user.log_in("siti", PASSWORD)
    (cookie,) = [cookie for cookie in user.client.cookies.jar if cookie.name == SESSION_COOKIE]
    assert cookie.value != planted
    attacker = new_user()
    attacker.client.cookies.set(SESSION_COOKIE, planted, domain="idp.test", path="/")
    await attacker.open("/")
    assert "Siti" not in attacker.page.text


@pytest.mark.threat("N66")
async def test_after_logging_in_again_the_earlier_cookie_is_dead_and_the_session_goes_on(
    world: World, user: BrowserUser, new_user: NewUser
) -> None:
    await at_login(user, world)
    await user.log_in("siti", PASSWORD)
    first = user.client.cookies.get(SESSION_COOKIE)
    assert first is not None
    await at_login(user, world, prompt="login")
    await user.log_in("siti", PASSWORD)
    assert user.client.cookies.get(SESSION_COOKIE) != first
    thief = new_user()
    thief.client.cookies.set(SESSION_COOKIE, first, domain="idp.test", path="/")
    await thief.open("/")
    assert "Siti" not in thief.page.text
    (session,) = await rows(world.provider.database, LoginSession)
    assert session.ended_at is None


async def test_another_person_may_log_in_in_the_same_browser_and_is_who_counts(world: World, user: BrowserUser) -> None:
    await at_login(user, world)
    await user.log_in("siti", PASSWORD)
    await at_login(user, world, prompt="login")
    await user.log_in("budi", PASSWORD)
    await user.allow()
    (authorization,) = await world.authorizations()
    assert authorization.account_id == world.budi
    by_person = {row.account_id: row.ended_at for row in await rows(world.provider.database, LoginSession)}
    assert by_person[world.siti] is not None
    assert by_person[world.budi] is None


async def test_a_hash_of_older_parameters_is_made_anew_at_login(world: World, user: BrowserUser) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    async with world.provider.database.transaction() as session:
        await session.execute(update(Account).where(Account.id == world.siti).values(password_hash=old))
    await at_login(user, world)
    await user.log_in("siti", PASSWORD)
    assert user.page.path == "/consent"
    kept = {account.id: account.password_hash for account in await rows(world.provider.database, Account)}
    assert kept[world.siti] != old
    assert "m=19456,t=2,p=1" in kept[world.siti]
    again = await world.provider.passwords.verify(PASSWORD, kept[world.siti])
    assert again.ok
    assert not again.needs_rehash


# --- refusals that tell nothing ---


@pytest.mark.threat("N72")
async def test_unknown_disabled_and_wrong_get_one_answer(world: World, user: BrowserUser) -> None:
    async with world.provider.database.transaction() as session:
        await disable_account(session, username="budi", now=world.provider.clock())
    answers = []
    for username, password in (("siti", "wrong password"), ("nobody", PASSWORD), ("budi", PASSWORD), ("a\x00b", "x")):
        await at_login(user, world)
        await user.log_in(username, password)
        shown = re.sub(r'value="[^"]*"|interaction=[\w-]+', "", user.page.response.text)
        headers = {name: value for name, value in user.page.response.headers.items() if name != "content-length"}
        answers.append((user.page.status, shown, headers))
        assert WRONG in user.page.text
    assert answers.count(answers[0]) == len(answers)
    assert answers[0][0] == 400
    assert SESSION_COOKIE not in user.client.cookies


@only_sqlite
@pytest.mark.threat("N72")
async def test_unknown_disabled_and_wrong_take_the_same_time(world: World, user: BrowserUser) -> None:
    async with world.provider.database.transaction() as session:
        await disable_account(session, username="budi", now=world.provider.clock())
    await at_login(user, world)
    fields = hidden(user)

    async def spent(username: str) -> float:
        started = time.process_time()
        answer = await post(user, {**fields, "username": username, "password": "wrong password"})
        assert answer.status_code == 400
        return time.process_time() - started

    people = {"siti": "siti", "budi": "budi", "nobody": "nobody"}
    medians = {who: statistics.median([await spent(name) for _ in range(9)]) for who, name in people.items()}
    assert max(medians.values()) < 1.6 * min(medians.values()), medians


async def test_a_refused_login_keeps_the_username_typed_and_never_the_password(world: World, user: BrowserUser) -> None:
    await at_login(user, world)
    await user.log_in('si"ti', "CANARY-password")
    assert 'value="si&#34;ti"' in user.page.response.text
    assert "CANARY" not in user.page.response.text
    await user.log_in("siti", PASSWORD)
    assert user.page.path == "/consent"


@only_sqlite
@pytest.mark.parametrize("fields", [{"username": "", "password": "x"}, {"username": "siti", "password": ""}, {}])
async def test_an_empty_form_is_told_so_and_counts_as_no_guess(
    world: World, user: BrowserUser, fields: dict[str, str]
) -> None:
    await at_login(user, world)
    answer = await post(user, {**hidden(user), **fields})
    assert answer.status_code == 400
    assert INCOMPLETE in answer.text
    assert await rows(world.provider.database, AuditEvent) == []


@only_sqlite
@pytest.mark.threat("N74")
@pytest.mark.parametrize("size", [1025, 60_000, 1_000_000])
async def test_a_huge_password_is_refused_without_hashing(world: World, user: BrowserUser, size: int) -> None:
    await at_login(user, world)
    answer = await post(user, {**hidden(user), "username": "siti", "password": "x" * size})
    assert answer.status_code in {400, 413}
    assert SESSION_COOKIE not in answer.cookies


@pytest.mark.threat("N74")
async def test_when_too_many_are_logging_in_the_page_says_to_come_back(world: World, user: BrowserUser) -> None:
    await at_login(user, world)
    world.provider.passwords._most = 0
    fields = {**hidden(user), "username": "siti", "password": PASSWORD}
    answer = await post(user, fields, **{"Accept-Language": "en"})
    assert answer.status_code == 503
    assert BUSY in answer.text


# --- whose form, whose browser ---


@only_sqlite
@pytest.mark.threat("N67")
@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({"csrf": ""}, {}),
        ({"csrf": "x" * 43}, {}),
        ({}, {"Origin": "https://evil.test"}),
        ({}, {"Origin": "null"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
        ({}, {"Sec-Fetch-Site": "same-site"}),
    ],
)
async def test_a_login_form_that_is_not_ours_is_refused_though_the_password_is_right(
    world: World, user: BrowserUser, changes: dict[str, str], headers: dict[str, str]
) -> None:
    await at_login(user, world)
    fields = {**hidden(user), "username": "siti", "password": PASSWORD, **changes}
    answer = await post(user, fields, **headers)
    assert answer.status_code == 403
    assert SESSION_COOKIE not in answer.cookies
    assert await rows(world.provider.database, LoginSession) == []


@pytest.mark.threat("N67")
async def test_a_login_opened_in_another_browser_is_refused_there(
    world: World, user: BrowserUser, new_user: NewUser
) -> None:
    await at_login(user, world)
    address, fields = user.page.url, hidden(user)
    without_cookie, with_cookie = new_user(), new_user()
    await at_login(with_cookie, world)
    for other in (without_cookie, with_cookie):
        assert (await other.client.get(address)).status_code == 403
        answer = await post(other, {**fields, "username": "siti", "password": PASSWORD})
        assert answer.status_code == 403
    # Nor does a token of one's own help at somebody else's interaction.
    secret = decode_secret(with_cookie.client.cookies.get(BROWSER_COOKIE))
    assert secret is not None
    forged = {**fields, "csrf": csrf_token(secret, fields["interaction"]), "username": "siti", "password": PASSWORD}
    assert (await post(with_cookie, forged)).status_code == 403
    assert await rows(world.provider.database, LoginSession) == []


@only_sqlite
@pytest.mark.parametrize("interaction", ["nonsense", "A" * 43, "x" * 5000, "%00", "' OR 1=1"])
async def test_an_unknown_interaction_is_a_page_that_says_so(world: World, user: BrowserUser, interaction: str) -> None:
    await at_login(user, world)
    answer = await user.client.get(f"{user.issuer}/login", params={"interaction": interaction})
    assert answer.status_code == 400
    assert "text/html" in answer.headers["content-type"]


@pytest.mark.threat("N68")
async def test_an_expired_or_finished_login_page_is_refused(world: World, user: BrowserUser) -> None:
    await at_login(user, world)
    address, fields = user.page.url, {**hidden(user), "username": "siti", "password": PASSWORD}
    async with world.provider.database.transaction() as session:
        await session.execute(update(Interaction).values(expires_at=world.provider.clock()))
    assert (await post(user, fields)).status_code == 400
    async with world.provider.database.transaction() as session:
        later = world.provider.clock() + timedelta(hours=1)
        await session.execute(update(Interaction).values(expires_at=later, finished_at=world.provider.clock()))
    assert (await post(user, fields)).status_code == 400
    assert (await user.client.get(address)).status_code == 400
    assert await rows(world.provider.database, LoginSession) == []


@pytest.mark.threat("N68")
async def test_going_back_to_the_login_page_after_logging_in_leads_on(world: World, user: BrowserUser) -> None:
    await at_login(user, world)
    login = user.page.url
    await user.log_in("siti", PASSWORD)
    await user.open(login)
    assert user.page.path == "/consent"


@only_sqlite
async def test_a_repeated_field_is_refused(world: World, user: BrowserUser) -> None:
    await at_login(user, world)
    pairs = [*hidden(user).items(), ("username", "siti"), ("username", "budi"), ("password", PASSWORD)]
    body = "&".join(f"{name}={value}" for name, value in pairs)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await user.client.post(f"{user.issuer}/login", content=body, headers=headers)
    assert answer.status_code == 400
    assert await rows(world.provider.database, LoginSession) == []
