"""Signing out, through HTTP, on both databases."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from sqlalchemy import select, update

from idp.audit import AuditEvent
from idp.browser import SESSION_COOKIE
from idp.clients.models import Client
from idp.database import Database
from idp.provider import Provider
from idp.sessions.models import LoginSession
from keys.encoding import b64url_encode
from keys.jws import sign_jwt
from keys.local import LocalSigner
from tests.idp.authorize_world import World, make_world, register_app
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite

pytestmark = pytest.mark.anyio

NewUser = Callable[[], BrowserUser]

AFTER = "https://sehat.test/bye"
AFTER_WITH_QUERY = "https://sehat.test/bye?from=satupintu"


@pytest.fixture
async def world(provider: Provider) -> World:
    made = await make_world(provider, post_logout_redirect_uris=(AFTER, AFTER_WITH_QUERY))
    async with provider.database.transaction() as session:
        await register_app(
            session,
            provider,
            made.version,
            client_id="lain",
            redirect_uris=("https://lain.test/cb",),
            post_logout_redirect_uris=("https://lain.test/bye",),
        )
    return made


@pytest.fixture
async def session_id(world: World, user: BrowserUser) -> str:
    """Siti is signed in."""
    return await world.sign_in(user.client, world.siti)


async def hint(world: World, session_id: str, *, typ: str | None = "JWT", **changes: Any) -> str:
    """An ID token of the app for Siti in this session, with changes; None leaves a claim out."""
    provider = world.provider
    now = int(provider.clock().timestamp())
    claims = {
        "iss": provider.settings.issuer,
        "aud": "sehat",
        "sub": provider.subjects.sub_for(world.siti, world.client),
        "sid": provider.subjects.sid(session_id, "sehat"),
        "iat": now,
        "exp": now + 600,
        **changes,
    }
    signer = provider.keys.signer_for("RS256")
    return await sign_jwt(signer, {name: value for name, value in claims.items() if value is not None}, typ=typ)


async def sessions_alive(database: Database) -> int:
    async with database.reading() as session:
        return len((await session.scalars(select(LoginSession.id).where(LoginSession.ended_at.is_(None)))).all())


async def leave(user: BrowserUser, **parameters: str) -> BrowserUser:
    return await user.open("/end_session", **{"ui_locales": "en", **parameters})


def is_signed_in(user: BrowserUser) -> bool:
    return SESSION_COOKIE in user.client.cookies


async def asks_first(world: World, user: BrowserUser) -> bool:
    """Whether the page asks, and nothing has happened yet."""
    return user.page.has("logout-yes") and await sessions_alive(world.provider.database) == 1 and is_signed_in(user)


# --- with a hint that names this very person and session ---


async def test_an_app_with_the_persons_own_id_token_signs_them_out_at_once(
    world: World, user: BrowserUser, session_id: str
) -> None:
    token = await hint(world, session_id)
    await leave(user, id_token_hint=token, post_logout_redirect_uri=AFTER, state="a&b=c")
    assert str(user.callback).startswith(f"{AFTER}?")
    assert user.callback_parameters == {"state": "a&b=c"}
    assert await sessions_alive(world.provider.database) == 0
    assert not is_signed_in(user)
    async with world.provider.database.reading() as session:
        (event,) = (await session.scalars(select(AuditEvent))).all()
    assert (event.kind, event.account_id, event.client_id) == ("login.logged_out", world.siti, "sehat")
    assert (event.session_id, event.detail) == (session_id, {"confirmed": False})


async def test_the_state_joins_a_query_that_was_registered(world: World, user: BrowserUser, session_id: str) -> None:
    token = await hint(world, session_id)
    await leave(user, id_token_hint=token, post_logout_redirect_uri=AFTER_WITH_QUERY, state="s")
    assert user.callback_parameters == {"from": "satupintu", "state": "s"}


async def test_without_an_address_the_person_sees_that_they_are_signed_out(
    world: World, user: BrowserUser, session_id: str
) -> None:
    await leave(user, id_token_hint=await hint(world, session_id))
    assert user.page.status == 200
    assert "signed out" in user.page.title
    assert await sessions_alive(world.provider.database) == 0


@pytest.mark.threat("N81")
async def test_an_expired_id_token_is_still_a_hint(world: World, user: BrowserUser, session_id: str) -> None:
    past = int((world.provider.clock() - timedelta(days=90)).timestamp())
    await leave(user, id_token_hint=await hint(world, session_id, iat=past, exp=past + 600))
    assert await sessions_alive(world.provider.database) == 0


async def test_an_apps_form_signs_out_too_though_our_cookie_does_not_come_with_it(
    world: World, user: BrowserUser, session_id: str
) -> None:
    token = await hint(world, session_id)
    fields = {"id_token_hint": token, "post_logout_redirect_uri": AFTER, "state": "s"}
    issuer = str(user.issuer)
    cookies = {cookie.name: str(cookie.value) for cookie in user.client.cookies.jar}
    user.client.cookies.clear()  # SameSite=Lax
    answer = await user.client.post(f"{issuer}/end_session", data=fields)
    assert answer.status_code == 303
    for name, value in cookies.items():
        user.client.cookies.set(name, value, domain="idp.test", path="/")
    await user.open(answer.headers["location"])
    assert str(user.callback) == f"{AFTER}?state=s"
    assert await sessions_alive(world.provider.database) == 0


async def test_an_apps_form_from_the_same_site_signs_out_at_once(
    world: World, user: BrowserUser, session_id: str
) -> None:
    fields = {"id_token_hint": await hint(world, session_id), "post_logout_redirect_uri": AFTER}
    answer = await user.client.post(f"{user.issuer}/end_session", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, AFTER)
    assert await sessions_alive(world.provider.database) == 0


# --- without one, the person decides ---


@pytest.mark.threat("N81")
async def test_an_address_alone_signs_nobody_out(world: World, user: BrowserUser, session_id: str) -> None:
    await leave(user)
    assert await asks_first(world, user)
    await leave(user, client_id="sehat", post_logout_redirect_uri=AFTER)
    assert await asks_first(world, user)
    assert "Healthy Together" in user.page.text


async def test_yes_signs_out_and_goes_where_the_app_asked(world: World, user: BrowserUser, session_id: str) -> None:
    await leave(user, client_id="sehat", post_logout_redirect_uri=AFTER, state="s")
    await user.press("logout-yes")
    assert str(user.callback) == f"{AFTER}?state=s"
    assert await sessions_alive(world.provider.database) == 0
    assert not is_signed_in(user)


async def test_no_changes_nothing(world: World, user: BrowserUser, session_id: str) -> None:
    await leave(user, client_id="sehat", post_logout_redirect_uri=AFTER)
    await user.press("logout-no")
    assert user.page.path == "/"
    assert "Siti" in user.page.text
    assert await sessions_alive(world.provider.database) == 1


async def test_signing_out_from_home(world: World, user: BrowserUser, session_id: str) -> None:
    await user.open("/")
    (address,) = [href for href, _ in user.page.document.links if href.endswith("/end_session")]
    await user.open(address)
    await user.press("logout-yes")
    assert user.page.status == 200
    await user.open("/")
    assert "Siti" not in user.page.text


@pytest.mark.threat("N81")
async def test_a_hint_that_does_not_name_this_session_only_asks(
    world: World, user: BrowserUser, session_id: str
) -> None:
    others: list[dict[str, Any]] = [
        {"iss": "https://evil.test"},
        {"aud": "lain"},
        {"aud": ["sehat", "lain"]},
        {"sub": "somebody else"},
        {"sid": "another session"},
        {"sid": None},
        {"sub": None},
        {"typ": "at+jwt"},
        {"typ": "logout+jwt"},
    ]
    for changes in others:
        await leave(user, id_token_hint=await hint(world, session_id, **changes))
        assert await asks_first(world, user), changes


@pytest.mark.threat("N81")
async def test_another_persons_or_an_earlier_sessions_id_token_only_asks(
    world: World, user: BrowserUser, session_id: str
) -> None:
    budis = await hint(world, session_id, sub=world.provider.subjects.sub_for(world.budi, world.client))
    earlier = await hint(world, "an-earlier-session")
    for token in (budis, earlier):
        await leave(user, id_token_hint=token)
        assert await asks_first(world, user)


@pytest.mark.threat("N81")
async def test_a_forged_id_token_only_asks(world: World, user: BrowserUser, session_id: str) -> None:
    real = await hint(world, session_id)
    header, payload, signature = real.split(".")
    none = b64url_encode(b'{"alg":"none"}')
    own = world.provider.keys.signer_for("RS256")
    foreign = LocalSigner("RS256", own.kid, generate_private_key(65537, 2048))
    signed_by_another_key = f"{header}.{payload}.{b64url_encode(await foreign.sign(f'{header}.{payload}'.encode()))}"
    forged = [
        f"{none}.{payload}.",
        f"{none}.{payload}.{signature}",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        f"{header}.{b64url_encode(b'{}')}.{signature}",
        signed_by_another_key,
        "x",
        "x" * 8000,
    ]
    for token in forged:
        await leave(user, id_token_hint=token)
        assert await asks_first(world, user), token[:60]


@only_sqlite
@pytest.mark.threat("N81")
@pytest.mark.parametrize("headers", [{"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}, {}])
async def test_a_yes_from_elsewhere_is_refused(
    world: World, user: BrowserUser, session_id: str, headers: dict[str, str]
) -> None:
    await leave(user)
    form = user.page.form_with("logout-yes")
    fields = dict(form.values()) | {"decision": "yes"}
    if not headers:
        fields["csrf"] = "x" * 43
    answer = await user.client.post(f"{user.issuer}/end_session", data=fields, headers=headers)
    assert answer.status_code == 403
    assert await sessions_alive(world.provider.database) == 1


# --- where to go afterwards ---


UNREGISTERED_ADDRESSES = (
    "https://evil.test/",
    f"{AFTER}?x=1",
    f"{AFTER}/",
    f"{AFTER}#x",
    "https://sehat.test/BYE",
    "https://lain.test/bye",
    "https://sehat.test/cb",
    "javascript:alert(1)",
    "//evil.test",
    "/\\evil.test",
    "https://sehat.test/bye%2f..",
    f" {AFTER}",
    f"{AFTER}\r\nX: y",
)


@pytest.mark.threat("N80")
@pytest.mark.parametrize("signed_in", [True, False])
async def test_nobody_is_sent_to_an_address_that_the_app_did_not_register(
    world: World, user: BrowserUser, signed_in: bool
) -> None:
    session_id = await world.sign_in(user.client, world.siti) if signed_in else "none"
    token = await hint(world, session_id)
    for address in UNREGISTERED_ADDRESSES:
        for parameters in ({"id_token_hint": token}, {"client_id": "sehat"}):
            await leave(user, post_logout_redirect_uri=address, **parameters)
            assert user.page.status == 400, address
            assert user.page.path == "/end_session"
    assert await sessions_alive(world.provider.database) == int(signed_in)


@pytest.mark.threat("N80")
async def test_an_address_without_an_app_is_refused(world: World, user: BrowserUser, session_id: str) -> None:
    for parameters in ({}, {"client_id": "nobody"}, {"id_token_hint": "x"}):
        await leave(user, post_logout_redirect_uri=AFTER, **parameters)
        assert user.page.status == 400
    assert await sessions_alive(world.provider.database) == 1


@pytest.mark.threat("N80")
async def test_the_address_is_checked_again_when_the_form_comes_back(
    world: World, user: BrowserUser, session_id: str
) -> None:
    await leave(user, client_id="sehat", post_logout_redirect_uri=AFTER)
    form = user.page.form_with("logout-yes")
    fields = dict(form.values()) | {"decision": "yes", "post_logout_redirect_uri": "https://evil.test/"}
    answer = await user.client.post(f"{user.issuer}/end_session", data=fields)
    assert answer.status_code == 400
    assert await sessions_alive(world.provider.database) == 1


async def test_an_app_that_contradicts_itself_is_refused(world: World, user: BrowserUser, session_id: str) -> None:
    await leave(user, id_token_hint=await hint(world, session_id), client_id="lain")
    assert user.page.status == 400
    assert await sessions_alive(world.provider.database) == 1


async def test_a_disabled_app_gets_nobody_sent_to_it(world: World, user: BrowserUser, session_id: str) -> None:
    token = await hint(world, session_id)
    async with world.provider.database.transaction() as session:
        await session.execute(update(Client).where(Client.client_id == "sehat").values(status="disabled"))
    world.provider.clients.forget()
    await leave(user, id_token_hint=token, post_logout_redirect_uri=AFTER)
    assert user.page.status == 400


async def test_nobody_signed_in_is_sent_on_all_the_same(world: World, user: BrowserUser) -> None:
    await leave(user, client_id="sehat", post_logout_redirect_uri=AFTER, state="s")
    assert str(user.callback) == f"{AFTER}?state=s"
    await leave(user)
    assert "signed out" in user.page.title


@only_sqlite
@pytest.mark.parametrize("query", ["state=1&state=2", "state=%FF", "id_token_hint=" + "x" * 9000])
async def test_a_malformed_request_is_a_page(world: World, user: BrowserUser, session_id: str, query: str) -> None:
    answer = await user.client.get(f"{user.issuer}/end_session?{query}")
    assert answer.status_code == 400
    assert "text/html" in answer.headers["content-type"]
    assert await sessions_alive(world.provider.database) == 1


@only_sqlite
async def test_the_confirmation_page_lets_its_form_lead_to_that_app_and_nowhere_else(
    world: World, user: BrowserUser, session_id: str
) -> None:
    await leave(user, client_id="sehat", post_logout_redirect_uri=AFTER)
    policy = user.page.response.headers["content-security-policy"]
    assert "form-action 'self' https://sehat.test;" in policy


async def test_signing_out_here_leaves_the_persons_other_browsers_alone(
    world: World, user: BrowserUser, session_id: str, new_user: NewUser
) -> None:
    other = new_user()
    await world.sign_in(other.client, world.siti)
    await leave(user, id_token_hint=await hint(world, session_id))
    await other.open("/")
    assert "Siti" in other.page.text
