"""The doors through which a signed token comes in: each with the key that is believed there, and an honest token."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from keys.local import LocalSigner
from keys.signer import Signer
from tests.security.forging import (
    signed,
)
from tests.security.stage import Stage, refusal, told_to_app
from tests.support.assertions import AssertionKey, carrying
from tests.support.browser_user import BrowserUser
from tests.support.token_world import claims_in

ISSUER: Final = "https://idp.test"
DOORS: Final = ("assertion", "hint at authorize", "hint at logout", "access token")


@dataclass
class Door:
    """One way in: whose key is believed there, what an honest token says, and whether a token is let in."""

    name: str
    signer: Signer
    jwk: Mapping[str, Any]
    typ: str
    claims: Callable[[], dict[str, Any]]
    lets_in: Callable[[str], Awaitable[bool]]
    #: The names that an honest token has for its sender and for us.
    iss: str
    aud: str

    async def genuine(self, **changes: Any) -> str:
        """A true token, with changes to its claims; `...` leaves one out."""
        said = {name: value for name, value in {**self.claims(), **changes}.items() if value is not ...}
        return await signed(self.signer, said, typ=self.typ)


def ring_jwk(stage: Stage, alg: str) -> dict[str, Any]:
    kid = stage.provider.keys.signer_for(alg).kid
    return next(dict(jwk) for jwk in stage.provider.keys.public_jwks() if jwk["kid"] == kid)


async def assertion_door(stage: Stage) -> Door:
    key = AssertionKey()
    app = await stage.world.app(token_endpoint_auth_method="private_key_jwt", jwks=key.jwks)
    number = iter(range(10_000))

    def claims() -> dict[str, Any]:
        now = int(stage.clock().timestamp())
        said = {"iss": app.client_id, "sub": app.client_id, "aud": ISSUER, "iat": now, "exp": now + 60}
        return {**said, "jti": f"assertion-{next(number)}"}

    async def lets_in(token: str) -> bool:
        form = {**carrying(token), "client_id": app.client_id, "grant_type": "client_credentials"}
        answer = await stage.http.post("/token", data={**form, "scope": "reports:read"})
        if answer.status_code == 200:
            return True
        assert refusal(answer) in {(401, "invalid_client"), (400, "invalid_request")}, answer.text
        return False

    signer = LocalSigner(key.alg, key.jwk["kid"], key.private)
    return Door("assertion", signer, key.jwk, "JWT", claims, lets_in, iss=app.client_id, aud=ISSUER)


async def hint_door(stage: Stage, user: BrowserUser, name: str) -> Door:
    app = await stage.world.app(id_token_signed_response_alg="RS256")
    id_token = (await stage.tokens(user, app))["id_token"]

    async def lets_in_at_authorize(token: str) -> bool:
        error = told_to_app(await stage.authorize(app, id_token_hint=token, prompt="none"))["error"]
        assert error in {"login_required", "invalid_request"}
        return error == "login_required"

    async def lets_in_at_logout(token: str) -> bool:
        await user.open("/end_session", id_token_hint=token)
        asks_or_refuses = user.page.has("logout-yes") or user.page.status == 400
        assert asks_or_refuses == (await stage.sessions_alive() == 1)
        return not asks_or_refuses

    lets_in = lets_in_at_authorize if name == "hint at authorize" else lets_in_at_logout
    signer = stage.provider.keys.signer_for("RS256")
    jwk = ring_jwk(stage, "RS256")
    return Door(name, signer, jwk, "JWT", lambda: claims_in(id_token), lets_in, iss=ISSUER, aud=app.client_id)


async def access_token_door(stage: Stage, user: BrowserUser) -> Door:
    app = await stage.world.app()
    access_token = (await stage.tokens(user, app))["access_token"]

    async def lets_in(token: str) -> bool:
        answer = await stage.world.userinfo(token)
        if answer.status_code == 200:
            return True
        assert refusal(answer) in {(401, "invalid_token"), (400, "invalid_request")}, answer.text
        assert await stage.world.introspect(app, token or "x") == {"active": False}
        return False

    signer, jwk = stage.provider.keys.signer_for("ES256"), ring_jwk(stage, "ES256")
    return Door("access token", signer, jwk, "at+jwt", lambda: claims_in(access_token), lets_in, iss=ISSUER, aud=ISSUER)


async def door_of(name: str, stage: Stage, user: BrowserUser) -> Door:
    """The door of that name."""
    match name:
        case "assertion":
            return await assertion_door(stage)
        case "access token":
            return await access_token_door(stage, user)
        case _:
            return await hint_door(stage, user, name)
