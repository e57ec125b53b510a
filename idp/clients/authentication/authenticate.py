"""Which app is calling, proven by exactly the method that it registered.

Whatever is wrong, the answer is the same `invalid_client`; the reason is in the audit.
Spec: RFC 6749 §2.3, §3.2.1, §5.2; RFC 9700 §2.5.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from starlette.requests import Request

from idp.audit import AuditKind, record
from idp.clients.authentication.client_secret_basic import CLIENT_SECRET_BASIC
from idp.clients.authentication.client_secret_post import CLIENT_SECRET_POST
from idp.clients.authentication.none import NONE
from idp.clients.authentication.presented import Attempt, Method, NotAuthenticated, Presented
from idp.clients.authentication.private_key_jwt import PRIVATE_KEY_JWT
from idp.clients.registry import RegisteredClient
from idp.errors import InvalidClient, InvalidRequest
from idp.protocol import Parameters
from idp.provider import Provider

METHODS: Final = (CLIENT_SECRET_BASIC, CLIENT_SECRET_POST, PRIVATE_KEY_JWT, NONE)

# What a client that tried the Authorization header is told to use. Spec: RFC 6749 §5.2.
log = structlog.get_logger()

BASIC_CHALLENGE: Final = 'Basic realm="satupintu", charset="UTF-8"'


@dataclass(frozen=True, slots=True)
class AuthenticatedClient:
    """A client that has proven who it is (a public one has only said so). Made by `authenticate` alone."""

    registration: RegisteredClient
    method: str

    @property
    def client_id(self) -> str:
        """Which client."""
        return self.registration.client_id


async def authenticate(
    provider: Provider, request: Request, parameters: Parameters, *, now: datetime
) -> AuthenticatedClient:
    """The client that is calling. Not within a transaction, for it may have to read and write by itself.

    Errors: `invalid_request` for several methods at once, `invalid_client` for everything else.
    """
    try:
        method, presented = read_credentials(request, parameters)
    except InvalidClient as malformed:
        log.info("client_unrecognised", reason=malformed.description)
        raise
    client = await provider.clients.get(presented.client_id, now)
    attempt = Attempt(
        presented=presented, client=client, settings=provider.settings, database=provider.database, now=now
    )
    try:
        verified = await _verify(method, attempt)
    except NotAuthenticated as reason:
        # A row only for an app that exists: anybody could fill the table with names of apps that do not.
        if client is not None:
            await _record_failure(provider, client, method, reason=str(reason), now=now)
        else:
            log.info("client_unrecognised", reason=str(reason))
        told = str(reason) if reason.told else "client authentication failed"
        raise InvalidClient(told, detail=str(reason)) from None
    return AuthenticatedClient(registration=verified, method=method.name)


async def _verify(method: Method, attempt: Attempt) -> RegisteredClient:
    client = await method.verify(attempt)
    if client.token_endpoint_auth_method != method.name:
        # A weaker method than the registered one would let whoever holds less than the app pass for it.
        raise NotAuthenticated(f"registered for {client.token_endpoint_auth_method}")
    return client


def read_credentials(request: Request, parameters: Parameters) -> tuple[Method, Presented]:
    """The one method that was used, and what was presented by it. Nothing is believed yet."""
    if len(request.headers.getlist("authorization")) > 1:
        # Two readers would take two different ones.
        raise InvalidRequest("send one Authorization header")
    if "client_secret" in parameters and ("authorization" in request.headers or "client_assertion" in parameters):
        raise InvalidRequest("use one client authentication method")
    found = [(method, presented) for method in METHODS if (presented := method.read(request, parameters))]
    if not found:
        raise InvalidClient("the client did not authenticate")
    if len(found) > 1:
        raise InvalidRequest("use one client authentication method")
    method, presented = found[0]
    if parameters.get("client_id", presented.client_id) != presented.client_id:
        raise InvalidRequest("client_id differs from the client that authenticates")
    return method, presented


async def _record_failure(
    provider: Provider, client: RegisteredClient, method: Method, *, reason: str, now: datetime
) -> None:
    async with provider.database.transaction() as session:
        await record(
            session,
            AuditKind.CLIENT_AUTHENTICATION_REFUSED,
            now=now,
            entropy=provider.entropy,
            client_id=client.client_id,
            detail={"method": method.name, "reason": reason},
        )
