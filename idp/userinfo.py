"""`/userinfo`: what the person agreed that this app may know, as it is now.

A claim goes out when the request asked for it here and the person's consent, as it stands at this moment, has it, and
when it is written down that it does.
Spec: OpenID Connect Core §5.3; RFC 6750 §2 and §3; RFC 9068 §4.
"""

import re
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from consent.gate import Permit
from consent.uses.recorder import NotRecorded
from idp.answers import NO_STORE, bearer_challenge, error_answer, json_answer
from idp.clients.registry import RegisteredClient
from idp.cors import for_registered_origins, note_client
from idp.driver.statement import Row
from idp.errors import InsufficientScope, InvalidRequest, InvalidToken, OAuthError, TemporarilyUnavailable, UsesSpent
from idp.protocol import FORM, parse_pairs, parse_parameters, read_body
from idp.provider import Provider, provider_of
from idp.tokens.access_token import STANDING_AND_CLAIMS, LiveAccessToken, verify_access_token
from idp.tokens.id_token import PROTOCOL_CLAIMS
from idp.tokens.release import asked_at_userinfo, released
from idp.uses.released import record_userinfo
from keys.jws import sign_jwt

log = structlog.get_logger()

_B64TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class NoToken(InvalidToken):
    """No token came at all: the answer says how to send one, and nothing else. Spec: RFC 6750 §3.1."""


@for_registered_origins("GET", "POST")
async def userinfo(request: Request) -> Response:
    """Answers with the person's claims, as JSON or as the JWT that the app registered for."""
    provider = provider_of(request)
    try:
        token = await presented_token(request, provider)
        client, claims = await _claims(provider, request, token)
    except OAuthError as refused:
        return _refuse(request, refused)
    if client.userinfo_signed_response_alg is None:
        return json_answer(claims)
    signed = await _signed(provider, client, claims, alg=client.userinfo_signed_response_alg)
    return Response(signed, headers=NO_STORE, media_type="application/jwt")


async def presented_token(request: Request, provider: Provider) -> str:
    """The access token, from the header or from a form's body, never from both and never from the address.

    Addresses end in logs and histories. Errors: `invalid_request`, or `NoToken`.
    Spec: RFC 6750 §2, §2.3; RFC 9700 §4.3.2.
    """
    if any(name == "access_token" for name, _ in parse_pairs(request.scope["query_string"])):
        raise InvalidRequest("an access token must not be in the address")
    in_header = _in_header(request)
    in_body = await _in_body(request, provider)
    if in_header is not None and in_body is not None:
        raise InvalidRequest("send the access token once")
    token = in_header or in_body
    if token is None:
        raise NoToken("no access token was sent")
    return token


def _in_header(request: Request) -> str | None:
    sent = request.headers.getlist("authorization")
    if not sent:
        return None
    if len(sent) > 1:
        raise InvalidRequest("send one Authorization header")
    scheme, _, token = sent[0].partition(" ")
    if scheme.lower() != "bearer":
        raise NoToken("the Authorization header must use the Bearer scheme")
    if _B64TOKEN.fullmatch(token) is None:
        raise InvalidRequest("the Bearer token is malformed")
    return token


async def _in_body(request: Request, provider: Provider) -> str | None:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method != "POST" or content_type != FORM:
        return None
    body = await read_body(request, max_bytes=provider.settings.max_body_bytes)
    return parse_parameters(body).get("access_token")


async def _claims(provider: Provider, request: Request, token: str) -> tuple[RegisteredClient, dict[str, Any]]:
    try:
        return await _recorded(provider, request, token)
    except NotRecorded:
        # The consent was changed between our look and the record. It may still let something through: look again.
        try:
            return await _recorded(provider, request, token)
        except NotRecorded as refused:
            raise InvalidToken("the access token is no longer valid", detail=str(refused)) from None


async def _recorded(provider: Provider, request: Request, token: str) -> tuple[RegisteredClient, dict[str, Any]]:
    now = provider.clock()
    live = await verify_access_token(provider, token, now=now, statement=STANDING_AND_CLAIMS, asked=_asked, is_use=True)
    client = await provider.clients.get(live.client_id, now)
    if client is None:
        raise InvalidToken("the access token is no longer valid", detail="the client is disabled")
    note_client(request, client)
    if provider.settings.issuer not in live.audiences:
        raise InvalidToken("the access token is for another resource", detail=f"aud: {sorted(live.audiences)}")
    if live.permit is None or "openid" not in live.scopes:
        raise InsufficientScope("the access token needs the scope openid")
    claims = _about(live, live.permit)
    if claims:
        # Nothing is released without its record. What went out is what the record says.
        await record_userinfo(
            provider,
            live.permit,
            live.facts.consent,
            items=claims,
            sealed_key=live.row.sealed_key,
            jti=live.claims["jti"],
            now=now,
        )
    return client, claims | {"sub": live.row.subject}


def _asked(row: Row) -> frozenset[str]:
    return asked_at_userinfo(row.token_scope, row.requested_claims or {}, row.authorization_details or ())


def _about(live: LiveAccessToken, permit: Permit) -> dict[str, Any]:
    person: Any = live.row
    return {name: value for name, value in released(person, permit.items).items() if name not in PROTOCOL_CLAIMS}


async def _signed(provider: Provider, client: RegisteredClient, claims: dict[str, Any], *, alg: str) -> str:
    # Issuer and audience bind the answer, so that it cannot be shown to another app. Spec: Core §5.3.2.
    bound = claims | {"iss": provider.settings.issuer, "aud": client.client_id}
    return await sign_jwt(provider.keys.signer_for(alg), bound, typ="JWT")


def _refuse(request: Request, refused: OAuthError) -> Response:
    log.info("refused", path=request.url.path, error=refused.code, reason=refused.detail or refused.description)
    if isinstance(refused, NoToken):
        response = Response(
            status_code=refused.status, headers={**NO_STORE, "WWW-Authenticate": bearer_challenge(None)}
        )
    elif isinstance(refused, UsesSpent | TemporarilyUnavailable):
        # The token is good: a challenge would send the app for another.
        response = error_answer(refused)
    elif isinstance(refused, InsufficientScope):
        response = error_answer(refused, challenge=bearer_challenge(refused, scope="openid"))
    else:
        response = error_answer(refused, challenge=bearer_challenge(refused))
    return response
