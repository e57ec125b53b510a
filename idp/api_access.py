"""Who calls one of our own JSON APIs: an app, by an access token of its own that names the scope.

The token is one of `client_credentials` (RFC 6749 §4.4) for this provider: its audience is the issuer. A token of a
person opens none of these doors.
Spec: RFC 6750 §2.1 and §3.1; RFC 9068 §4.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NoReturn

from sqlalchemy import Select, bindparam, select
from starlette.requests import Request

from consent.http.api.ports import ApiCaller, ApiRefusal
from idp.clients.models import Client
from idp.driver.statement import Row, Statement
from idp.errors import InvalidToken
from idp.provider import Provider
from idp.tokens.access_token import verify_signature
from idp.tokens.models import AccessToken

_B64TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")

# An app's own token hangs on the app alone: of all that other tokens hang on, nothing is read.
COLUMNS: Final[tuple[Any, ...]] = (
    AccessToken.client_id.label("token_client_id"),
    AccessToken.authorization_id.label("token_authorization_id"),
    AccessToken.audiences.label("token_audiences"),
    AccessToken.scope.label("token_scope"),
    AccessToken.expires_at.label("token_expires_at"),
    AccessToken.revoked_at.label("token_revoked_at"),
    Client.status.label("client_status"),
)
CALLER: Final[Select[Any]] = (
    select(*COLUMNS)
    .select_from(AccessToken)
    .join(Client, Client.client_id == AccessToken.client_id)
    .where(AccessToken.jti == bindparam("jti"))
)
_CALLER: Final = Statement(CALLER)


async def api_caller(provider: Provider, request: Request, scope: str) -> ApiCaller:
    """The calling app. Errors: `ApiRefusal` 401 `invalid_token`, 403 `insufficient_scope`."""
    caller, _ = await caller_and_more(provider, request, scope, _CALLER, now=provider.clock())
    return caller


async def caller_and_more(
    provider: Provider,
    request: Request,
    scope: str,
    statement: Statement,
    values: Mapping[str, Any] = MappingProxyType({}),
    *,
    now: datetime,
) -> tuple[ApiCaller, Row]:
    """The calling app, and the row of a statement that begins with `CALLER` and reads more. Errors: as `api_caller`."""
    try:
        claims = verify_signature(provider, _presented(request), now=now)
    except InvalidToken as refused:
        _refuse(refused.description)
    row = await provider.database.driver.row(statement, {"jti": claims["jti"], **values})
    if row is None or row.token_revoked_at is not None or row.token_expires_at <= now or row.client_status != "live":
        _refuse("the access token is no longer valid")
    client = await provider.clients.get(row.token_client_id, now)
    own = row.token_authorization_id is None and provider.settings.issuer in row.token_audiences
    if client is None or not own:
        _refuse("this needs an app's own access token for this provider")
    scopes = frozenset(row.token_scope.split())
    if scope not in scopes or scope not in client.scopes:
        raise ApiRefusal(403, "insufficient_scope", f"the access token needs the scope {scope}")
    caller = ApiCaller(
        client_id=client.client_id,
        agency_id=client.agency_id,
        scopes=scopes,
        resources=client.resources,
    )
    return caller, row


def _presented(request: Request) -> str:
    sent = request.headers.getlist("authorization")
    if len(sent) != 1:
        _refuse("send one Authorization header with an access token")
    scheme, _, token = sent[0].partition(" ")
    if scheme.lower() != "bearer" or _B64TOKEN.fullmatch(token) is None:
        _refuse("the Authorization header must use the Bearer scheme")
    return token


def _refuse(why: str) -> NoReturn:
    raise ApiRefusal(401, "invalid_token", why)
