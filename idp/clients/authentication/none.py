"""`none`: a phone or browser app only says who it is. What it may do is bound to PKCE and its redirect URIs.

Spec: RFC 6749 §2.1 and §3.2.1; RFC 7591 §2.
"""

from typing import Final

from starlette.requests import Request

from idp.clients.authentication.presented import Attempt, Method, NotAuthenticated, Presented
from idp.clients.registry import RegisteredClient
from idp.protocol import Parameters

_PROOFS: Final = ("client_secret", "client_assertion", "client_assertion_type")


def read(request: Request, parameters: Parameters) -> Presented | None:
    """The bare id, when nothing that would prove it came along."""
    client_id = parameters.get("client_id")
    if client_id is None or "authorization" in request.headers or any(name in parameters for name in _PROOFS):
        return None
    return Presented(client_id=client_id)


async def verify(attempt: Attempt) -> RegisteredClient:
    """The client, if it is one that has nothing to prove itself with."""
    if attempt.client is None:
        raise NotAuthenticated("unknown or disabled client")
    return attempt.client


NONE: Final = Method(name="none", read=read, verify=verify)
