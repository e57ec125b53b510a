"""The endpoints that apps call all day, answered before the framework's layers come to run.

Middleware, telemetry, exit stacks and the search for a route cost a tenth of a token request and do nothing for it.
What goes past them is exactly the pairs of method and path that are named here; everything else, also `HEAD /authorize`
or `GET /token`, takes the ordinary way, where the same routes stand.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, cast

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from idp.limits import BodyLimits, BodyTooLarge, BodyTooSlow

Handler = Callable[[Request], Awaitable[Response]]
Refuse = Callable[[Request, Exception], Awaitable[Response]]
METHODS: Final = frozenset({"GET", "POST"})


class Application(FastAPI):
    """FastAPI with a lane in front of it."""

    lane: "FastLane | None" = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes the lane if it leads there."""
        if self.lane is not None and self.lane.leads_to(scope):
            scope["app"] = self
            await self.lane(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class FastLane:
    """Answers some routes of an application with its limits and its exception handlers, and nothing else of it."""

    def __init__(self, app: FastAPI, routes: Iterable[Route], *, max_bytes: int) -> None:
        self._endpoints: Mapping[tuple[str, str], Handler] = {
            (method, route.path): route.endpoint for route in routes for method in METHODS & (route.methods or set())
        }
        self._refusals = app.exception_handlers
        self._limited = BodyLimits(self._answer, max_bytes=max_bytes)

    def leads_to(self, scope: Scope) -> bool:
        """Whether this request is answered here."""
        return scope["type"] == "http" and (scope["method"], scope["path"]) in self._endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        await self._limited(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            response = await self._endpoints[scope["method"], scope["path"]](request)
        except (BodyTooLarge, BodyTooSlow):
            raise  # for the limits, which answer it
        except Exception as error:
            # The nearest class that has a handler, as Starlette looks for it.
            kind = next((kind for kind in type(error).__mro__ if kind in self._refusals), Exception)
            response = await cast(Refuse, self._refusals[kind])(request, error)
            await response(scope, receive, send)
            if kind is Exception:
                raise  # a bug is answered, and is still the server's to know
            return
        await response(scope, receive, send)
