"""`/revoke`: an app gives a token back.

An access token ends alone, a refresh token with its whole family. The person's consent stays: giving up a token is not
a decision of theirs. A token that is unknown, or another app's, changes nothing and is answered the same.
Spec: RFC 7009 §2.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from idp.answers import NO_STORE
from idp.clients.authentication.authenticate import authenticate
from idp.clients.registry import RegisteredClient
from idp.cors import for_registered_origins, note_client
from idp.errors import InvalidToken, OAuthError
from idp.provider import Provider, provider_of
from idp.token_endpoint import read_form, refuse
from idp.tokens.access_token import verify_signature
from idp.tokens.refresh_token import digest
from idp.tokens.tables import ACCESS_TOKENS, AUTHORIZATIONS, REFRESH_TOKENS

_REVOKE_ACCESS_TOKEN: Final = (
    update(ACCESS_TOKENS)
    .where(
        ACCESS_TOKENS.c.jti == bindparam("token_jti"),
        ACCESS_TOKENS.c.client_id == bindparam("caller"),
        ACCESS_TOKENS.c.revoked_at.is_(None),
    )
    .values(revoked_at=bindparam("at"))
)
_REVOKE_FAMILY: Final = (
    update(AUTHORIZATIONS)
    .where(
        AUTHORIZATIONS.c.id.in_(
            select(REFRESH_TOKENS.c.authorization_id).where(
                REFRESH_TOKENS.c.token_sha256 == bindparam("token_digest"),
                REFRESH_TOKENS.c.client_id == bindparam("caller"),
            )
        ),
        AUTHORIZATIONS.c.revoked_at.is_(None),
    )
    .values(revoked_at=bindparam("at"), revoked_because="revoked_by_client")
)


@for_registered_origins("POST")
async def revoke(request: Request) -> Response:
    """Revokes a token, and answers only when that is committed: a failure must never look like a success."""
    provider = provider_of(request)
    now = provider.clock()
    try:
        parameters = await read_form(request, provider)
        authenticated = await authenticate(provider, request, parameters, now=now)
        note_client(request, authenticated.registration)
        token = parameters.require("token")
        async with provider.database.transaction() as session:
            await _revoke(provider, session, token, authenticated.registration, now=now)
    except OAuthError as refused:
        return refuse(request, refused)
    return Response(status_code=200, headers=NO_STORE)


async def _revoke(
    provider: Provider, session: AsyncSession, token: str, caller: RegisteredClient, *, now: datetime
) -> None:
    # What a token looks like decides where to look; `token_type_hint` could only be wrong.
    if "." not in token:
        found = {"token_digest": digest(token), "caller": caller.client_id, "at": now}
        await session.execute(_REVOKE_FAMILY, found)
        return
    try:
        claims = verify_signature(provider, token, now=now, expired_too=True)
    except InvalidToken:
        return
    await session.execute(_REVOKE_ACCESS_TOKEN, {"token_jti": claims["jti"], "caller": caller.client_id, "at": now})
