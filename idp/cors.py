"""Which pages' scripts may read our answers, endpoint by endpoint.

| endpoint                                   | who                                            |
|--------------------------------------------|------------------------------------------------|
| discovery, `/jwks`                         | everybody (`*`)                                |
| `/token`, `/userinfo`, `/revoke`           | the origins that the calling app registered    |
| `/introspect`, `/authorize`, pages, `/end_session` | nobody                                 |

Credentials (cookies) are never allowed: these endpoints know apps by what they send, and nobody by cookie. `null` is no
origin: every sandboxed frame has it.
Spec: Fetch §3.2; RFC 9700 §2.6; RFC 6454.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from idp.clients.registry import RegisteredClient
from idp.provider import provider_of

Handler = Callable[[Request], Awaitable[Response]]

PREFLIGHT_SECONDS: Final = 600
ALLOWED_HEADERS: Final = "Authorization, Content-Type"
MAX_ORIGIN: Final = 300


def for_everybody(handler: Handler) -> Handler:
    """Lets any page read the answer: it is public, and the same for all."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        response = await handler(request)
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    return answer


def for_registered_origins(*methods: str) -> Callable[[Handler], Handler]:
    """Lets the pages read the answer whose origin the calling app registered, and answers their preflights."""

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        async def answer(request: Request) -> Response:
            preflight = request.method == "OPTIONS"
            response = Response(status_code=204) if preflight else await handler(request)
            response.headers.append("Vary", "Origin")
            origin = request.headers.get("origin")
            if origin is None or not await _may_read(request, origin):
                return response
            response.headers["Access-Control-Allow-Origin"] = origin
            if preflight:
                response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
                response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
                response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
            else:
                response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate"
            return response

        return answer

    return decorate


def note_client(request: Request, client: RegisteredClient) -> None:
    """Remembers whose request this is, for the rule above."""
    request.state.client_origins = client.web_origins


async def _may_read(request: Request, origin: str) -> bool:
    if origin == "null" or len(origin) > MAX_ORIGIN:
        return False
    origins: frozenset[str] | None = getattr(request.state, "client_origins", None)
    if origins is not None:
        return origin in origins
    # A preflight names no app, and a refusal may come before the app is known: any live app's origin will do, for
    # there is nothing of anybody's in such an answer.
    provider = provider_of(request)
    return await provider.clients.is_web_origin(origin, provider.clock())
