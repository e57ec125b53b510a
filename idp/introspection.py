"""`/introspect`: an API asks whether a token that it was shown is alive now, and what it says.

Only an app that the token is for, or that it was issued to, learns anything. To everybody else each token, real or
invented, is `{"active": false}`.
Spec: RFC 7662 §2; RFC 9068 §6; RFC 9700 §2.3; RFC 9701.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, select
from starlette.requests import Request
from starlette.responses import Response

from consent.gate import Question, items_of, uses_are_left
from idp.answers import NO_STORE, json_answer
from idp.clients.authentication.authenticate import authenticate
from idp.clients.models import Client
from idp.clients.registry import RegisteredClient
from idp.driver.statement import Statement
from idp.errors import InvalidClient, InvalidToken, OAuthError
from idp.provider import Provider, provider_of
from idp.token_endpoint import read_form, refuse
from idp.tokens.access_token import LiveAccessToken, verify_access_token
from idp.tokens.liveness import FACTS, cause_of_death, facts_of, joined
from idp.tokens.models import Authorization
from idp.tokens.refresh_token import digest
from idp.tokens.release import AGREED, Agreed, granted_details
from idp.tokens.tables import AUTHORIZATIONS, REFRESH_TOKENS
from keys.jws import sign_jwt

INACTIVE: Final[dict[str, Any]] = {"active": False}
SIGNED_TYP: Final = "token-introspection+jwt"
SIGNED_ALG: Final = "RS256"

_TOLD: Final = (
    "iss",
    "aud",
    "sub",
    "client_id",
    "iat",
    "exp",
    "jti",
    "scope",
    "auth_time",
    "acr",
    "authorization_details",
    "status",
)

_REFRESH: Final = Statement(
    joined(
        select(
            *FACTS,
            *AGREED,
            AUTHORIZATIONS.c.subject,
            AUTHORIZATIONS.c.scope,
            AUTHORIZATIONS.c.acr,
            AUTHORIZATIONS.c.authorization_details,
            AUTHORIZATIONS.c.refresh_expires_at,
            REFRESH_TOKENS.c.issued_at,
            REFRESH_TOKENS.c.expires_at,
            REFRESH_TOKENS.c.rotated_at,
        )
        .select_from(REFRESH_TOKENS)
        .join(Authorization, AUTHORIZATIONS.c.id == REFRESH_TOKENS.c.authorization_id)
        .outerjoin(Client, Client.client_id == REFRESH_TOKENS.c.client_id)
    ).where(
        REFRESH_TOKENS.c.token_sha256 == bindparam("token_digest"),
        REFRESH_TOKENS.c.client_id == bindparam("caller"),
    )
)


async def introspect(request: Request) -> Response:
    """Answers what is known about a token."""
    provider = provider_of(request)
    now = provider.clock()
    try:
        parameters = await read_form(request, provider)
        caller = (await authenticate(provider, request, parameters, now=now)).registration
        if caller.is_public:
            # Whoever can name a public app could ask about every token that it finds.
            raise InvalidClient("introspection is for apps that authenticate")
        token = parameters.require("token")
        answer = await _about(provider, token, caller, now=now)
    except OAuthError as refused:
        return refuse(request, refused)
    if not _wants_jwt(request):
        return json_answer(answer)
    return Response(
        await _signed(provider, caller, answer, now=now), headers=NO_STORE, media_type=f"application/{SIGNED_TYP}"
    )


def _wants_jwt(request: Request) -> bool:
    """Whether the API asked for an answer that it can keep as proof of what it was told. Spec: RFC 9701 §4."""
    accepted = ",".join(request.headers.getlist("accept")).split(",")
    return f"application/{SIGNED_TYP}" in {one.partition(";")[0].strip().lower() for one in accepted}


async def _signed(provider: Provider, caller: RegisteredClient, answer: dict[str, Any], *, now: datetime) -> str:
    """The answer as a JWT for this caller alone. Its members stand apart, so that it passes for no other token.

    Spec: RFC 9701 §5, §6.1 (RS256 where nothing is registered), §8.1 (no `sub` and no `exp` outside).
    """
    claims = {
        "iss": provider.settings.issuer,
        "aud": caller.client_id,
        "iat": int(now.timestamp()),
        "token_introspection": answer,
    }
    return await sign_jwt(provider.keys.signer_for(SIGNED_ALG), claims, typ=SIGNED_TYP)


async def _about(provider: Provider, token: str, caller: RegisteredClient, *, now: datetime) -> dict[str, Any]:
    # What a token looks like decides where to look; `token_type_hint` could only be wrong.
    if "." in token:
        return await _about_access_token(provider, token, caller, now=now)
    return await _about_refresh_token(provider, token, caller, now=now)


async def _about_access_token(
    provider: Provider, token: str, caller: RegisteredClient, *, now: datetime
) -> dict[str, Any]:
    try:
        live = await verify_access_token(provider, token, now=now)
    except InvalidToken:
        return INACTIVE
    # A token for this provider is nobody's to ask about, whatever an app says that it is.
    own = caller.resources - {provider.settings.issuer}
    if live.client_id != caller.client_id and (own.isdisjoint(live.audiences) or _spent(live, now)):
        return INACTIVE
    told = {name: live.claims[name] for name in _TOLD if name in live.claims}
    if "authorization_details" in told:
        # The token says what was granted when it was made; since then the person may have agreed to less.
        agreed = Agreed(live.row.agreed_version, live.row.agreed_agreement_id)
        told["authorization_details"] = granted_details(told["authorization_details"], live.granted, agreed)
    return {"active": True, "token_type": "Bearer", **told}


def _spent(live: LiveAccessToken, now: datetime) -> bool:
    """Whether the data was used as often as was agreed to: an API that is told of a living token gives data for it."""
    question = Question(client_id=live.client_id, is_use=True)
    return live.of_a_person and uses_are_left(question, live.facts.consent, now) is not None


async def _about_refresh_token(
    provider: Provider, token: str, caller: RegisteredClient, *, now: datetime
) -> dict[str, Any]:
    row = await provider.database.driver.row(_REFRESH, {"token_digest": digest(token), "caller": caller.client_id})
    if row is None:
        return INACTIVE
    ends = min(row.expires_at, row.refresh_expires_at)
    facts = facts_of(row)
    if row.rotated_at is not None or ends <= now or cause_of_death(facts, now) is not None:
        return INACTIVE
    told: dict[str, Any] = {
        "active": True,
        "iss": provider.settings.issuer,
        "client_id": caller.client_id,
        "sub": row.subject,
        "scope": row.scope,
        "iat": int(row.issued_at.timestamp()),
        "exp": int(ends.timestamp()),
        "auth_time": int(facts.auth_time.timestamp()),
        "acr": row.acr,
    }
    agreed = Agreed(row.agreed_version, row.agreed_agreement_id)
    details = granted_details(row.authorization_details, items_of(facts.consent), agreed)
    return told | ({"authorization_details": details} if details else {})
