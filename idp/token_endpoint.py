"""`/token`: a grant becomes tokens. The grants there are stand in GRANTS.

Spec: RFC 6749 §3.2, §5; OpenID Connect Core §3.1.3; RFC 9700 §2.4.
"""

from types import MappingProxyType
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from idp.answers import error_answer, json_answer
from idp.clients.authentication.authenticate import BASIC_CHALLENGE, authenticate
from idp.cors import for_registered_origins, note_client
from idp.errors import (
    InvalidAuthorizationDetails,
    InvalidClient,
    InvalidRequest,
    OAuthError,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from idp.grants.authorization_code import authorization_code
from idp.grants.client_credentials import client_credentials
from idp.grants.refresh_token import refresh_token
from idp.grants.request import Answer, Grant, TokenRequest
from idp.protocol import Parameters, parse_parameters, read_body
from idp.provider import Provider, provider_of

log = structlog.get_logger()

GRANTS: Final = MappingProxyType[str, Grant](
    {
        "authorization_code": authorization_code,
        "refresh_token": refresh_token,
        "client_credentials": client_credentials,
    }
)


@for_registered_origins("POST")
async def token(request: Request) -> Response:
    """Answers a token request."""
    provider = provider_of(request)
    try:
        parameters = await read_form(request, provider)
        return json_answer(await _grant(provider, request, parameters))
    except OAuthError as refused:
        return refuse(request, refused)


async def read_form(request: Request, provider: Provider) -> Parameters:
    """The parameters of a POST by an app: in the body, and nowhere else.

    A secret in an address ends in every log on the way. Spec: RFC 6749 §2.3.1, §3.2.
    """
    if request.scope["query_string"]:
        raise InvalidRequest("parameters belong in the body, not in the address")
    return parse_parameters(await read_body(request, max_bytes=provider.settings.max_body_bytes))


async def _grant(provider: Provider, request: Request, parameters: Parameters) -> Answer:
    now = provider.clock()
    authenticated = await authenticate(provider, request, parameters, now=now)
    client = authenticated.registration
    note_client(request, client)
    grant_type = parameters.require("grant_type")
    grant = GRANTS.get(grant_type)
    if grant is None:
        raise UnsupportedGrantType("this grant type does not exist here")
    if grant_type not in client.grant_types or (client.is_public and grant_type == "client_credentials"):
        raise UnauthorizedClient("the client is not registered for this grant type")
    if "authorization_details" in parameters:
        # To ignore it would give more than was asked for.
        raise InvalidAuthorizationDetails("authorization_details belong in the authorization request")
    return await grant(TokenRequest(provider=provider, authenticated=authenticated, parameters=parameters, now=now))


def refuse(request: Request, refused: OAuthError) -> Response:
    """A refusal as JSON, with the challenge that a client which tried the Authorization header is due.

    Spec: RFC 6749 §5.2.
    """
    log.info("refused", path=request.url.path, error=refused.code, reason=refused.detail or refused.description)
    tried = isinstance(refused, InvalidClient) and "authorization" in request.headers
    return error_answer(refused, challenge=BASIC_CHALLENGE if tried else None)
