"""The composition root: the one page that knows everybody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from consent.http import console, dashboard
from idp import (
    consent_screen,
    discovery,
    health,
    home,
    introspection,
    logout,
    revocation,
    select_account,
    sign_in,
    userinfo,
)
from idp import token_endpoint as token
from idp.authorize import endpoint as authorize
from idp.clock import Clock, system_clock
from idp.consent_ports import consent_ports
from idp.errors import OAuthError, PageRefusal
from idp.fast_lane import Application, FastLane
from idp.housekeeping import Housekeeping
from idp.limits import BodyLimits
from idp.login import endpoint as login
from idp.pages import Pages
from idp.provider import Provider
from idp.settings import Settings
from keys.entropy import Entropy

log = structlog.get_logger()
STATIC = Path(__file__).parent / "static"


class VersionedFiles(StaticFiles):
    """Static files under addresses that name their version, so that a browser never has to ask twice."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """A file, to be kept for a year."""
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def create_app(settings: Settings, *, clock: Clock = system_clock, entropy: Entropy | None = None) -> FastAPI:
    """The whole provider as one ASGI application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        provider = await Provider.open(settings, clock=clock, entropy=entropy)
        app.state.provider = provider
        async with Housekeeping(provider):
            yield
        await provider.close()

    app = Application(title="Satu Pintu", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.router.redirect_slashes = False
    app.router.routes[:0] = [*protocol_routes(settings), *page_routes(), *consent_routes(app, entropy)]
    app.add_middleware(BodyLimits, max_bytes=settings.max_body_bytes)
    app.add_exception_handler(PageRefusal, show_refusal)
    app.add_exception_handler(OAuthError, answer_refusal)
    app.add_exception_handler(Exception, show_fault)
    app.lane = FastLane(app, hot_routes(settings), max_bytes=settings.max_body_bytes)
    return app


def hot_routes(settings: Settings) -> list[Route]:
    """What apps call all day. These have the fast lane."""
    return [
        Route("/token", token.token, methods=["POST", "OPTIONS"]),
        Route("/userinfo", userinfo.userinfo, methods=["GET", "POST", "OPTIONS"]),
        Route("/introspect", introspection.introspect, methods=["POST"]),
        Route("/authorize", authorize.authorize, methods=["GET", "POST"]),
        *discovery.routes(settings),
    ]


def protocol_routes(settings: Settings) -> list[BaseRoute]:
    """What apps call. Plain Starlette routes, the busiest first."""
    return [
        *hot_routes(settings),
        Route("/revoke", revocation.revoke, methods=["POST", "OPTIONS"]),
        *health.routes(),
    ]


def page_routes() -> list[BaseRoute]:
    """What people open."""
    return [
        Route("/", home.home, methods=["GET"]),
        Route("/sign-in", sign_in.sign_in, methods=["GET"]),
        Route("/login", login.login, methods=["GET", "POST"]),
        Route("/select-account", select_account.select_account, methods=["GET", "POST"]),
        Route("/consent", consent_screen.consent, methods=["GET", "POST"]),
        Route("/end_session", logout.end_session, methods=["GET", "POST"]),
        Mount("/static", VersionedFiles(directory=STATIC)),
    ]


def consent_routes(app: FastAPI, entropy: Entropy | None) -> list[BaseRoute]:
    """The two windows on consent, handed what they need of the rest."""
    ports = consent_ports(app, entropy=entropy)
    return [*dashboard.routes(ports), *console.routes(ports)]


def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.provider.pages
    return pages


async def show_refusal(request: Request, refused: Exception) -> Response:
    """A refusal on a page, in the reader's language."""
    assert isinstance(refused, PageRefusal)
    log.info("page_refused", message=refused.message, detail=refused.detail, path=request.url.path)
    return _pages(request).error(request, message=refused.message, status=refused.status)


async def answer_refusal(_request: Request, refused: Exception) -> Response:
    """A refusal that no endpoint dressed, as JSON. Spec: RFC 6749 §5.2."""
    assert isinstance(refused, OAuthError)
    body = {"error": refused.code} | ({"error_description": refused.description} if refused.description else {})
    return JSONResponse(body, status_code=refused.status, headers={"Cache-Control": "no-store"})


async def show_fault(request: Request, fault: Exception) -> Response:
    """A bug. What broke goes to the log; the reader learns only that it is our fault and that nothing was done."""
    log.error("fault", path=request.url.path, kind=type(fault).__name__, exc_info=fault)
    if "text/html" in request.headers.get("accept", ""):
        answer: Response = _pages(request).error(request, message="Something went wrong on our side.", status=500)
    else:
        answer = JSONResponse({"error": "server_error"}, status_code=500, headers={"Cache-Control": "no-store"})
    # The server closes the connection after a fault. Unannounced, the next request on it would be lost.
    answer.headers["Connection"] = "close"
    return answer
