"""An app as an agency would build it on Authlib's client: independent of the provider's code, strict about answers.

app = RelyingParty(issuer=…, client_id=…, client_secret=…, redirect_uri=…, transport=ASGITransport(provider_app))
await user.open(await app.authorization_url(scope="openid profile"))
login = await app.finish(user.callback_parameters)
login.claims["sub"], login.token["access_token"]
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.jwk import KeySet

from idp.clock import Clock

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]


@dataclass(frozen=True)
class Login:
    """What an app knows after a login. `claims` are the ID token's, verified."""

    token: dict[str, Any]
    claims: dict[str, Any]
    id_token_header: dict[str, Any]

    @property
    def access_token(self) -> str:
        """The access token."""
        return str(self.token["access_token"])

    @property
    def refresh_token(self) -> str:
        """The refresh token. Error: `KeyError` when there is none."""
        return str(self.token["refresh_token"])

    @property
    def sub(self) -> str:
        """The person, as this app knows them."""
        return str(self.claims["sub"])


@dataclass
class Attempt:
    """A login that has begun: what the app keeps in its own session meanwhile."""

    state: str
    nonce: str
    code_verifier: str


class RelyingParty:
    """One app of one agency."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        redirect_uri: str,
        client_secret: str | None = None,
        auth_method: str | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.issuer = issuer
        self.client_id = client_id
        self.redirect_uri = redirect_uri
        self.client_secret = client_secret
        self.attempt: Attempt | None = None
        self._clock = clock or (lambda: datetime.now(UTC))
        self._metadata: dict[str, Any] | None = None
        method = auth_method or ("client_secret_basic" if client_secret else "none")
        self.oauth: Any = AsyncOAuth2Client(
            client_id,
            client_secret,
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            transport=transport,
            timeout=30,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.oauth.aclose()

    # --- what everybody may read ---

    async def metadata(self) -> dict[str, Any]:
        """The provider's metadata, read once. Spec: OpenID Connect Discovery §4.3."""
        if self._metadata is None:
            response = await self._get(f"{self.issuer}/.well-known/openid-configuration")
            self._metadata = response.json()
            assert self._metadata is not None
            assert self._metadata["issuer"] == self.issuer
        return self._metadata

    async def verify(self, token: str, *, audience: str | None = None, typ: str | None = None) -> jwt.Token:
        """Verifies a JWT of the provider with its published keys. Error: a `joserfc` error."""
        keys = KeySet.import_key_set((await self._get((await self.metadata())["jwks_uri"])).json())
        verified = jwt.decode(token, keys, algorithms=ALGORITHMS)
        jwt.JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            leeway=5,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": audience or self.client_id},
            exp={"essential": True},
            iat={"essential": True},
        ).validate(verified.claims)
        if typ is not None:
            assert verified.header.get("typ") == typ, verified.header
        return verified

    # --- a login ---

    async def authorization_url(
        self, *, scope: str = "openid profile", pkce: bool = True, **parameters: str | None
    ) -> str:
        """Where to send the person. Parameters are added as they are; None leaves one out."""
        attempt = Attempt(*(secrets.token_urlsafe(32) for _ in range(3)))
        self.attempt = attempt
        given = {"nonce": attempt.nonce, **parameters}
        url, _ = self.oauth.create_authorization_url(
            (await self.metadata())["authorization_endpoint"],
            state=attempt.state,
            scope=scope,
            code_verifier=attempt.code_verifier if pkce else None,
            **{name: value for name, value in given.items() if value is not None},
        )
        return str(url)

    async def finish(self, parameters: Mapping[str, str]) -> Login:
        """Takes the provider's answer: checks whose it is, redeems the code, verifies the ID token.

        Error: `AuthorizationRefused` with the provider's error; `AssertionError` when the answer is not to be trusted.
        """
        attempt = self.attempt
        assert attempt is not None, "no login has begun"
        assert parameters.get("iss") == self.issuer, f"an answer of another provider: {dict(parameters)}"
        assert parameters.get("state") == attempt.state, "an answer to another login"
        if "error" in parameters:
            raise AuthorizationRefused(parameters["error"], parameters.get("error_description", ""))
        token = await self.redeem(parameters["code"], code_verifier=attempt.code_verifier)
        return await self.check_login(token, nonce=attempt.nonce)

    async def redeem(self, code: str, **parameters: str) -> dict[str, Any]:
        """Trades the code for tokens. Error: Authlib's `OAuthError`, with `error` and `description`."""
        return dict(
            await self.oauth.fetch_token(
                (await self.metadata())["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                redirect_uri=self.redirect_uri,
                **parameters,
            )
        )

    async def check_login(self, token: dict[str, Any], *, nonce: str | None) -> Login:
        """Verifies the ID token that came with an access token. Spec: OpenID Connect Core §3.1.3.7."""
        verified = await self.verify(token["id_token"])
        assert verified.claims.get("nonce") == nonce
        if "at_hash" in verified.claims:
            assert verified.claims["at_hash"] == half_hash(token["access_token"], alg=str(verified.header["alg"]))
        return Login(token=token, claims=dict(verified.claims), id_token_header=dict(verified.header))

    # --- afterwards ---

    async def refresh(self, refresh_token: str, **parameters: str) -> dict[str, Any]:
        """Trades a refresh token for new tokens. Error: Authlib's `OAuthError`."""
        return dict(
            await self.oauth.refresh_token(
                (await self.metadata())["token_endpoint"], refresh_token=refresh_token, **parameters
            )
        )

    async def client_credentials(self, **parameters: str) -> dict[str, Any]:
        """A token for the app itself. Error: Authlib's `OAuthError`."""
        return dict(
            await self.oauth.fetch_token(
                (await self.metadata())["token_endpoint"], grant_type="client_credentials", **parameters
            )
        )

    async def userinfo(self, access_token: str) -> httpx2.Response:
        """The person's data, as the answer came: its status says whether the token still holds."""
        url = (await self.metadata())["userinfo_endpoint"]
        return await self._get(url, headers={"Authorization": f"Bearer {access_token}"}, check=False)

    async def introspect(self, token: str) -> dict[str, Any]:
        """What the provider says about a token. Spec: RFC 7662."""
        response = await self.oauth.introspect_token((await self.metadata())["introspection_endpoint"], token=token)
        response.raise_for_status()
        return dict(response.json())

    async def revoke(self, token: str, *, hint: str | None = None) -> httpx2.Response:
        """Gives a token back. Spec: RFC 7009."""
        url = (await self.metadata())["revocation_endpoint"]
        response: httpx2.Response = await self.oauth.revoke_token(url, token=token, token_type_hint=hint)
        return response

    async def _get(self, url: str, *, check: bool = True, **options: Any) -> httpx2.Response:
        response: httpx2.Response = await self.oauth.request("GET", url, withhold_token=True, auth=None, **options)
        if check:
            response.raise_for_status()
        return response


class AuthorizationRefused(Exception):
    """The provider answered the authorization request with an error."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


def half_hash(value: str, *, alg: str) -> str:
    """The left half of a hash, as `at_hash` and `c_hash` are made. Spec: OpenID Connect Core §3.1.3.6."""
    digest = hashlib.sha512 if alg in {"EdDSA", "Ed25519"} else hashlib.sha256
    hashed = digest(value.encode("ascii")).digest()
    return base64.urlsafe_b64encode(hashed[: len(hashed) // 2]).rstrip(b"=").decode("ascii")
