"""N51 to N57: an app is believed only by what it registered, and its secret is told once and kept nowhere."""

import base64
import hmac
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import httpx2
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from idp.clients.authentication import secrets as secret_comparison
from idp.clients.management import rotate_secret, show_client
from idp.clients.models import Client
from tests.security.stage import PASSWORD, Stage, refusal, told_to_app
from tests.support.assertions import AssertionKey, carrying
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.token_world import App, basic

pytestmark = [pytest.mark.anyio, only_sqlite]

#: The doors at which an app proves itself, with the rest of an honest request.
ENDPOINTS: Final = {
    "/token": {"grant_type": "client_credentials", "scope": "reports:read"},
    "/introspect": {"token": "x"},
    "/revoke": {"token": "x"},
}


async def call(
    stage: Stage, path: str, form: dict[str, str] | None = None, headers: Any = None, query: str = ""
) -> httpx2.Response:
    return await stage.http.post(f"{path}{query}", data={**ENDPOINTS[path], **(form or {})}, headers=headers or {})


async def all_refused(stage: Stage, form: dict[str, str] | None = None, headers: Any = None, query: str = "") -> None:
    for path in ENDPOINTS:
        answer = await call(stage, path, form, headers, query)
        assert refusal(answer) in {(401, "invalid_client"), (400, "invalid_request")}, (path, answer.text)
    assert await stage.issued() == (0, 0)


@pytest.fixture
async def key() -> AssertionKey:
    """The key of an app that signs."""
    return AssertionKey()


@pytest.fixture
async def signing_app(stage: Stage, key: AssertionKey) -> App:
    """An app that proves itself with signed assertions."""
    return await stage.world.app(token_endpoint_auth_method="private_key_jwt", jwks=key.jwks)


@pytest.mark.threat("N51")
async def test_a_secret_is_kept_as_a_hash_and_shown_on_no_page(
    stage: Stage, web_app: App, user: BrowserUser, new_user: Callable[[], BrowserUser]
) -> None:
    async with stage.provider.database.transaction() as session:
        second = await rotate_secret(session, web_app.client_id, now=stage.clock(), entropy=stage.provider.entropy)
    stage.provider.clients.forget()
    await all_refused(stage, headers=web_app.basic)
    rotated = App(web_app.client_id, second)
    assert (await call(stage, "/token", headers=rotated.basic)).status_code == 200
    await stage.person("ratna", role="privacy_officer")
    await stage.tokens(user, rotated)
    officer = await stage.sign_in(new_user(), "ratna")
    paths = ("/", "/console", "/console/consents", "/my/consents", "/.well-known/openid-configuration", "/jwks")
    seen = [(await one.client.get(f"https://idp.test{path}")).text for one in (user, officer) for path in paths]
    for path in ENDPOINTS:
        answer = await call(stage, path, headers=rotated.basic)
        seen += [answer.text, str(answer.headers)]
    async with stage.provider.database.reading() as session:
        row = (await session.execute(select(Client.__table__).where(Client.client_id == web_app.client_id))).one()
        shown = await show_client(session, web_app.client_id)
        seen += [str(row), json.dumps(shown.secrets), str(shown.__dict__)]
    for secret in (web_app.secret, second):
        assert not any(secret in text for text in seen)


@pytest.mark.threat("N52")
async def test_credentials_that_can_be_read_two_ways_are_refused(stage: Stage, web_app: App) -> None:
    posting = await stage.world.app(token_endpoint_auth_method="client_secret_post")
    posted = {"client_id": posting.client_id, "client_secret": posting.secret}
    assert (await call(stage, "/introspect", posted)).status_code == 200
    in_query = f"?client_id={posting.client_id}&client_secret={posting.secret}"
    await all_refused(stage, query=in_query)
    await all_refused(stage, query=f"?client_secret={posting.secret}", form={"client_id": posting.client_id})
    await all_refused(stage, headers=web_app.basic, form={"client_secret": web_app.secret})
    await all_refused(stage, headers=web_app.basic, form={"client_id": posting.client_id})
    twice = [("Authorization", web_app.basic["Authorization"])] * 2
    await all_refused(stage, headers=twice)
    await all_refused(stage, form={**posted, "client_secret": ""})


@pytest.mark.threat("N52")
async def test_a_basic_header_that_no_encoder_makes_is_refused(stage: Stage, web_app: App) -> None:
    identity, secret = web_app.client_id, web_app.secret
    pair = base64.b64encode(f"{identity}:{secret}".encode()).decode()
    wrong = [
        basic(identity, "")["Authorization"],
        basic(identity, secret + " ")["Authorization"],
        basic(identity, secret + "%")["Authorization"],
        basic(identity, secret + "%zz")["Authorization"],
        basic(identity, secret + "\x00")["Authorization"],
        basic(identity.upper(), secret)["Authorization"],
        basic(" " + identity, secret)["Authorization"],
        "Basic " + base64.b64encode(identity.encode()).decode(),
        "Basic " + base64.b64encode(f":{secret}".encode()).decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        f"Basic {pair}=",
        f"Basic {pair}\t",
        f"Basic  {pair}",
        f"Basic {pair[:4]} {pair[4:]}",
        f"Basic {pair},{pair}",
        "Basic",
        "Basic ",
        "",
        f"Bearer {pair}",
        f"Digest {pair}",
        "Basic " + "A" * 60_000,
    ]
    for header in wrong:
        await all_refused(stage, headers={"Authorization": header})
    assert (await call(stage, "/token", headers={"Authorization": f"Basic {pair}"})).status_code == 200


@pytest.mark.threat("N53")
async def test_an_app_cannot_choose_a_weaker_method_than_its_own(
    stage: Stage, web_app: App, public_app: App, signing_app: App, key: AssertionKey
) -> None:
    posting = await stage.world.app(token_endpoint_auth_method="client_secret_post")
    for app in (web_app, posting, signing_app):
        await all_refused(stage, form={"client_id": app.client_id})
    await all_refused(stage, form={"client_id": web_app.client_id, "client_secret": web_app.secret})
    await all_refused(stage, headers=posting.basic)
    await all_refused(stage, headers=basic(signing_app.client_id, "x" * 43))
    for secret in (PASSWORD, "none", "null"):
        await all_refused(stage, headers=basic(public_app.client_id, secret))
    for app in (web_app, public_app):
        await all_refused(stage, form=key.form(app.client_id, now=stage.clock().timestamp()))


# --- N54: what is wrong cannot be told from the work that was done ---


class Comparisons:
    """Counts what the comparison of secrets does."""

    def __init__(self) -> None:
        self.lengths: list[tuple[int, int]] = []

    def compare_digest(self, kept: bytes, presented: bytes) -> bool:
        self.lengths.append((len(kept), len(presented)))
        return hmac.compare_digest(kept, presented)


@pytest.mark.threat("N54")
async def test_wrong_secrets_and_unknown_apps_cost_the_same_work(
    stage: Stage, web_app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work is counted, not timed: one constant-time comparison of two hashes, whatever is wrong and wherever."""
    secret = web_app.secret
    cases = {
        "first character": basic(web_app.client_id, "!" + secret[1:]),
        "last character": basic(web_app.client_id, secret[:-1] + "!"),
        "one character": basic(web_app.client_id, "!"),
        "ten thousand": basic(web_app.client_id, "!" * 10_000),
        "unknown app": basic("app-000000000000000000000000", secret),
        "public app": basic((await stage.world.public_app()).client_id, secret),
        "impossible app": basic("' OR 1=1", secret),
    }
    work, answers = {}, set()
    for name, header in cases.items():
        counting = Comparisons()
        monkeypatch.setattr(secret_comparison, "hmac", SimpleNamespace(compare_digest=counting.compare_digest))
        answer = await call(stage, "/token", headers=header)
        work[name] = counting.lengths
        answers.add((answer.status_code, answer.content))
    assert all(lengths == [(32, 32)] for lengths in work.values()), work
    assert len(answers) == 1


@pytest.mark.threat("N54", "N72")
async def test_an_unknown_persons_login_costs_the_same_argon2_as_a_known_ones(
    stage: Stage, user: BrowserUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes: list[str] = []
    verify = PasswordHasher.verify

    def counting(hasher: PasswordHasher, kept: Any, password: Any) -> bool:
        hashes.append(str(kept))
        return bool(verify(hasher, kept, password))

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    await user.open("/login")
    parameters = set()
    for username in ("siti", "nobody", "x" * 500, "' OR 1=1", "siti\x00"):
        hashes.clear()
        await user.log_in(username, "wrong-password")
        assert len(hashes) == 1, username
        parameters.add(hashes[0].split("$")[3])
    assert parameters == {"m=19456,t=2,p=1"}
    assert await stage.sessions_alive() == 0


# --- N55 to N57: signed assertions ---


@pytest.mark.threat("N55")
async def test_an_assertion_for_somebody_else_or_for_too_long_is_refused(stage: Stage) -> None:
    for profile, alg in (("oidc", "ES256"), ("fapi2", "PS256")):
        key = AssertionKey(alg)
        extra = {"id_token_signed_response_alg": "PS256"} if profile == "fapi2" else {}
        app = await stage.world.app(
            profile=profile, token_endpoint_auth_method="private_key_jwt", jwks=key.jwks, **extra
        )
        now = int(stage.clock().timestamp())
        wrong: list[dict[str, Any]] = [
            {"aud": "https://evil.test"},
            {"aud": "https://idp.test/"},
            {"aud": "https://idp.test/par"},
            {"aud": "https://idp.test/introspect"},
            {"aud": ["https://idp.test", "https://evil.test"]},
            {"aud": []},
            {"aud": ...},
            {"exp": now + 311},
            {"exp": now - 11},
            {"iat": now + 61},
            {"nbf": now + 61},
        ]
        if profile == "fapi2":
            wrong += [{"aud": "https://idp.test/token"}, {"aud": ["https://idp.test", "https://idp.test/token"]}]
        for changes in wrong:
            form = key.form(app.client_id, **{"now": now, **changes})
            for path in ENDPOINTS:
                assert refusal(await call(stage, path, form)) == (401, "invalid_client"), (profile, changes, path)
        assert (await call(stage, "/token", key.form(app.client_id, now=now))).status_code == 200
        if profile == "fapi2":
            answer = told_to_app(await stage.authorize(app))
            assert answer["error"] == "unauthorized_client", "until pushed requests are taken, none is"


@pytest.mark.threat("N55")
async def test_a_stronger_profiles_app_cannot_register_or_use_rs256(stage: Stage) -> None:
    key = AssertionKey("PS256")
    app = await stage.world.app(
        profile="fapi2",
        token_endpoint_auth_method="private_key_jwt",
        jwks=key.jwks,
        id_token_signed_response_alg="PS256",
    )
    weaker = AssertionKey("RS256")
    weaker.private, weaker.jwk = key.private, {**key.jwk, "alg": "RS256"}
    now = stage.clock().timestamp()
    await all_refused(stage, form=weaker.form(app.client_id, now=now))


@pytest.mark.threat("N56")
async def test_an_app_cannot_sign_in_another_apps_name(stage: Stage, signing_app: App, key: AssertionKey) -> None:
    mine = AssertionKey()
    thief = await stage.world.app(token_endpoint_auth_method="private_key_jwt", jwks=mine.jwks)
    now = stage.clock().timestamp()
    victim = signing_app.client_id
    for changes in (
        {},
        {"header": {"kid": key.jwk["kid"]}},
        {"header": {"jwk": mine.jwk}},
        {"iss": thief.client_id},
        {"sub": thief.client_id},
    ):
        form = mine.form(victim, now=now, **changes)
        await all_refused(stage, form=form)
        await all_refused(stage, form={**form, "client_id": victim})
        await all_refused(stage, form={**form, "client_id": thief.client_id})
    own = mine.form(thief.client_id, now=now)
    await all_refused(stage, form={**own, "client_id": victim})


@pytest.mark.threat("N57")
async def test_an_assertion_is_good_for_one_request_at_one_endpoint(
    stage: Stage, signing_app: App, key: AssertionKey
) -> None:
    now = stage.clock().timestamp()
    for first in ENDPOINTS:
        form = key.form(signing_app.client_id, now=now)
        assert (await call(stage, first, form)).status_code == 200
        for second in ENDPOINTS:
            assert refusal(await call(stage, second, form)) == (401, "invalid_client"), (first, second)
    repeated = key.sign(signing_app.client_id, now=now, jti="the same")
    assert (await call(stage, "/token", carrying(repeated))).status_code == 200
    again = key.sign(signing_app.client_id, now=now + 1, jti="the same")
    assert refusal(await call(stage, "/token", carrying(again))) == (401, "invalid_client")
