"""The journeys again, with an app on npm's openid-client and real connections: nobody here wrote the other side."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey, KeyParameters, OKPKey

from tests.journeys.visiting import HEALTH_SCOPE, NIK
from tests.support.browser_user import BrowserUser
from tests.support.node import NodeApp, Refused, node_major
from tests.support.registrar import Registrar
from tests.support.service import PASSWORD, Service

pytestmark = [pytest.mark.anyio, pytest.mark.node, pytest.mark.processes, pytest.mark.xdist_group("processes")]

SCOPE = f"{HEALTH_SCOPE} offline_access"
CALLBACK = "https://antrean.test/callback"
HOME = "https://antrean.test/"


@dataclass
class Stage:
    """A running provider, an app on Node.js, and a citizen of this test's own."""

    issuer: str
    registrar: Registrar
    node: NodeApp
    user: BrowserUser
    username: str

    async def discover(self, auth: str = "client_secret_basic", **spec: Any) -> str:
        """Registers an app and points the library at the issuer. Returns the client's id."""
        key: ECKey | OKPKey | None = spec.pop("key", None)
        if key is not None:
            spec["jwks"] = {"keys": [key.as_dict(private=False)]}
        client_id, secret = await self.registrar.register(
            token_endpoint_auth_method=auth, post_logout_redirect_uris=(HOME,), **spec
        )
        await self.node.ask(
            "discover",
            issuer=self.issuer,
            client_id=client_id,
            client_secret=secret,
            auth=auth,
            private_jwk=key.as_dict(private=True) if key is not None else None,
        )
        return client_id

    async def begin(self, **parameters: str) -> httpx2.URL:
        """Where the library would send the person."""
        asked = {"redirect_uri": CALLBACK, "scope": SCOPE, **parameters}
        return httpx2.URL((await self.node.ask("authorize", parameters=asked))["url"])

    async def through_the_door(self, url: httpx2.URL) -> httpx2.URL:
        """The person goes there, does what is asked, and lands at the app."""
        await self.user.open(url)
        if not self.user.is_at_app and self.user.page.path == "/login":
            await self.user.log_in(self.username, PASSWORD)
        if not self.user.is_at_app:
            await self.user.allow(items={"gender"})
        assert self.user.callback is not None
        return self.user.callback

    async def log_in(self, **parameters: str) -> dict[str, Any]:
        """The whole way: the library's tokens and the claims that it believes."""
        answer = await self.through_the_door(await self.begin(**parameters))
        return await self.node.ask("callback", url=str(answer))


@pytest.fixture
async def stage(
    shared_service: Service, registrar: Registrar, node_app: NodeApp, new_person: Callable[[], BrowserUser]
) -> Stage:
    """Everything in its place."""
    (username,) = await shared_service.citizens(1)
    return Stage(shared_service.issuer, registrar, node_app, new_person(), username)


async def refused(node: NodeApp, command: str, **parameters: Any) -> dict[str, Any]:
    """What the library says when it will not."""
    with pytest.raises(Refused) as caught:
        await node.ask(command, **parameters)
    return caught.value.told


def key_of(alg: str) -> ECKey | OKPKey:
    said: KeyParameters = {"alg": alg, "kid": "app-1", "use": "sig"}
    return ECKey.generate_key("P-256", said) if alg == "ES256" else OKPKey.generate_key("Ed25519", said)


def unless_too_old(case: str) -> Any:
    """The case; left out where Node.js is older than RFC 9864, and knows Ed25519 by the name of EdDSA only."""
    too_old = case.endswith("Ed25519") and node_major() < 20
    return pytest.param(case, marks=pytest.mark.skipif(too_old, reason="this Node.js does not know Ed25519 by name"))


WAYS: dict[str, Callable[[], dict[str, Any]]] = {
    "client_secret_basic": lambda: {"auth": "client_secret_basic"},
    "client_secret_post": lambda: {"auth": "client_secret_post"},
    "private_key_jwt, ES256": lambda: {"auth": "private_key_jwt", "key": key_of("ES256")},
    "private_key_jwt, Ed25519": lambda: {"auth": "private_key_jwt", "key": key_of("Ed25519")},
    "none": lambda: {"auth": "none", "application_type": "spa"},
}


@pytest.mark.parametrize("way", [unless_too_old(way) for way in WAYS])
async def test_an_app_finds_everything_by_discovery_and_lives_its_whole_life(stage: Stage, way: str) -> None:
    await stage.discover(**WAYS[way]())
    login = await stage.log_in()
    tokens, claims = login["tokens"], login["claims"]
    assert claims["iss"] == stage.issuer
    told = await stage.node.ask("userinfo", access_token=tokens["access_token"], sub=claims["sub"])
    assert told["userinfo"]["gender"] == "female"
    assert told["userinfo"][NIK].startswith("99040355059")
    assert "phone_number" not in told["userinfo"]

    fresh = await stage.node.ask("refresh", refresh_token=tokens["refresh_token"], parameters={})
    assert fresh["claims"]["sub"] == claims["sub"]
    access_token = fresh["tokens"]["access_token"]
    if way != "none":
        about = (await stage.node.ask("introspect", token=access_token))["answer"]
        assert (about["active"], about["sub"]) == (True, claims["sub"])
    await stage.node.ask("revoke", token=fresh["tokens"]["refresh_token"])
    gone = await refused(stage.node, "refresh", refresh_token=fresh["tokens"]["refresh_token"], parameters={})
    assert gone["error"] == "invalid_grant"
    dead = await refused(stage.node, "userinfo", access_token=access_token, sub=claims["sub"])
    assert dead["status"] == 401


async def test_single_sign_on_second_visit_and_asking_silently(stage: Stage) -> None:
    await stage.discover()
    first = await stage.log_in()
    before = len(stage.user.requests)
    again = await stage.log_in(prompt="none")
    assert len(stage.user.requests) - before == 1
    assert again["claims"]["sub"] == first["claims"]["sub"]

    await stage.discover(names={"id": "Aplikasi kedua", "en": "Second app"})
    answer = await stage.through_the_door(await stage.begin(prompt="none"))
    assert (await refused(stage.node, "callback", url=str(answer)))["error"] == "consent_required"
    await stage.user.open(await stage.begin())
    assert stage.user.page.path == "/consent"
    await stage.user.deny()
    assert (await refused(stage.node, "callback", url=str(stage.user.callback)))["error"] == "access_denied"


async def test_a_withdrawal_is_felt_at_once(stage: Stage) -> None:
    await stage.discover()
    login = await stage.log_in()
    await stage.user.open("/my/consents")
    (button,) = [form.buttons[0].id for form in stage.user.page.document.forms if form.action.endswith("/withdraw")]
    await stage.user.press(button)
    tokens = login["tokens"]
    dead = await refused(stage.node, "userinfo", access_token=tokens["access_token"], sub=login["claims"]["sub"])
    assert dead["status"] == 401
    assert (await stage.node.ask("introspect", token=tokens["access_token"]))["answer"] == {"active": False}
    gone = await refused(stage.node, "refresh", refresh_token=tokens["refresh_token"], parameters={})
    assert gone["error"] == "invalid_grant"


async def test_logout_brings_the_person_back_to_the_app(stage: Stage) -> None:
    await stage.discover()
    login = await stage.log_in()
    parameters = {"id_token_hint": login["tokens"]["id_token"], "post_logout_redirect_uri": HOME, "state": "bye"}
    await stage.user.open((await stage.node.ask("logout", parameters=parameters))["url"])
    assert str(stage.user.callback) == f"{HOME}?state=bye"
    answer = await stage.through_the_door(await stage.begin(prompt="none"))
    assert (await refused(stage.node, "callback", url=str(answer)))["error"] == "login_required"


async def test_a_service_acts_for_itself_and_another_checks_its_token(stage: Stage) -> None:
    api = f"https://api-{stage.username}.kemenkes.test"
    spec: dict[str, Any] = {
        "grant_types": ("client_credentials",),
        "redirect_uris": (),
        "scopes": ("records.read",),
        "purpose_codes": (),
    }
    caller = await stage.discover(**spec, auth="private_key_jwt", key=key_of("ES256"), allowed_resources=(api,))
    answer = await stage.node.ask("credentials", parameters={"scope": "records.read", "resource": api})
    await stage.discover(**spec, resources=(api,))
    told = (await stage.node.ask("introspect", token=answer["tokens"]["access_token"]))["answer"]
    assert (told["active"], told["client_id"], told["aud"]) == (True, caller, api)


@pytest.mark.parametrize("alg", [unless_too_old(alg) for alg in ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")])
async def test_the_library_verifies_every_signature_that_we_offer(stage: Stage, alg: str) -> None:
    await stage.discover(id_token_signed_response_alg=alg)
    login = await stage.log_in()  # the script has the library verify the signature with our published keys
    assert login["header"]["alg"] == alg


@pytest.mark.threat("N21")
async def test_the_answer_of_another_issuer_is_refused(stage: Stage) -> None:
    await stage.discover()
    answer = await stage.through_the_door(await stage.begin())
    mixed_up = answer.copy_set_param("iss", "https://other.example")
    assert (await refused(stage.node, "callback", url=str(mixed_up)))["code"] == "OAUTH_INVALID_RESPONSE"
    unsigned = answer.copy_remove_param("iss")
    assert (await refused(stage.node, "callback", url=str(unsigned)))["code"] == "OAUTH_INVALID_RESPONSE"
    # The honest answer is still good: the library asked nobody meanwhile.
    assert (await stage.node.ask("callback", url=str(answer)))["claims"]["iss"] == stage.issuer


async def test_a_code_of_another_login_is_refused_for_its_verifier(stage: Stage) -> None:
    await stage.discover()
    stolen = (await stage.through_the_door(await stage.begin())).params["code"]
    answer = await stage.through_the_door(await stage.begin())
    injected = answer.copy_set_param("code", stolen)
    assert (await refused(stage.node, "callback", url=str(injected)))["error"] == "invalid_grant"


async def test_a_login_with_a_foreign_nonce_is_refused_by_the_library(stage: Stage) -> None:
    await stage.discover()
    url = (await stage.begin()).copy_set_param("nonce", "somebody-elses")
    answer = await stage.through_the_door(url)
    told = await refused(stage.node, "callback", url=str(answer))
    assert "nonce" in f"{told['message']} {told['cause']}"
