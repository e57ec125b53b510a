"""The composition root: the one page that knows everybody."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from consent.http import (
    assisted,
    authzen,
    console,
    dashboard,
    endings,
    receipts,
    registry,
    registry_review,
    withdrawals,
)
from consent.http import log as public_log
from consent.http import uses as use_pages
from consent.http.api import check, uses
from consent.http.api.application import consent_api
from consent.http.api.ports import ApiPorts
from consent.http.govstack.application import govstack_api
from consent.http.govstack.ports import GovStackPorts
from consent.http.upload import MOST_BYTES
from consent.receipts.keys import receipt_jwks
from idp import (
    answered_before,
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
from idp.api_ports import api_ports
from idp.authorize import endpoint as authorize
from idp.clock import Clock, system_clock
from idp.consent_ports import consent_ports
from idp.deliveries import Sender
from idp.errors import OAuthError, PageRefusal
from idp.fast_lane import Application, FastLane
from idp.govstack_ports import govstack_ports
from idp.housekeeping import Housekeeping
from idp.limits import Allowance, BodyLimits
from idp.log_process import LogProcess
from idp.login import endpoint as login
from idp.pages import Pages
from idp.provider import Provider
from idp.receipts import receipt_office
from idp.settings import Settings
from idp.status_list import endpoint as status_list
from idp.withdrawals import shut_client
from keys.entropy import Entropy, SystemEntropy

log = structlog.get_logger()
STATIC = Path(__file__).parent / "static"
API = "/consent/v1"
# A scan, over a village's line. Who is no officer is refused before a byte of it is read.
UPLOADS = {path: Allowance(MOST_BYTES, 120.0) for path in ("/console/assisted/record", "/console/assisted/withdraw")}
# A thousand reported uses.
UPLOADS[f"{API}{uses.PATH}"] = Allowance(uses.MAX_BYTES, 30.0)


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
        async with Housekeeping(provider), LogProcess(provider), Sender(provider):
            yield
        await provider.close()

    app = Application(title="Satu Pintu", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.router.redirect_slashes = False
    ports = api_ports(app, settings, entropy=entropy)
    app.router.routes[:0] = [
        *protocol_routes(settings),
        *api_routes(ports, govstack_ports(ports, lambda: _provider(app))),
        *page_routes(),
        *consent_routes(app, settings, entropy),
        *log_routes(app),
    ]
    app.add_middleware(BodyLimits, max_bytes=settings.max_body_bytes, uploads=UPLOADS)
    app.add_exception_handler(PageRefusal, show_refusal)
    app.add_exception_handler(OAuthError, answer_refusal)
    app.add_exception_handler(Exception, show_fault)
    hot = [*hot_routes(settings), *check.hot_routes(ports, under=API)]
    app.lane = FastLane(app, hot, max_bytes=settings.max_body_bytes)
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
        *status_list.routes(),
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
        Route("/consent/answered", answered_before.answered_before, methods=["GET", "POST"]),
        Route("/end_session", logout.end_session, methods=["GET", "POST"]),
        Mount("/static", VersionedFiles(directory=STATIC)),
    ]


def consent_routes(app: FastAPI, settings: Settings, entropy: Entropy | None) -> list[BaseRoute]:
    """The windows on consent and the public register, handed what they need of the rest."""
    ports = consent_ports(app, entropy=entropy)
    return [
        *dashboard.routes(ports),
        *use_pages.routes(ports),
        *receipts.routes(ports, receipt_office(app, settings, entropy=entropy)),
        *console.routes(ports),
        *assisted.routes(ports),
        *registry_review.routes(ports),
        *withdrawals.routes(ports),
        *endings.routes(ports, shut_client=shut_client(entropy or SystemEntropy(), by="officer")),
        *registry.routes(ports),
    ]


def log_routes(app: FastAPI) -> list[BaseRoute]:
    """The log, for everybody."""

    async def receipt_keys() -> Mapping[str, Any]:
        async with app.state.provider.database.reading() as session:
            return await receipt_jwks(session)

    return [*public_log.routes(public_log.LogPorts(log=lambda: app.state.provider.log, receipt_keys=receipt_keys))]


def api_routes(ports: ApiPorts, govstack: GovStackPorts) -> list[BaseRoute]:
    """The JSON APIs that apps and resource servers call with a token of their own."""
    return [*authzen.routes(ports), Mount(API, consent_api(ports)), Mount("/govstack/v1", govstack_api(govstack))]


def _provider(app: FastAPI) -> Provider:
    provider: Provider = app.state.provider
    return provider


def _pages(request: Request) -> Pages:
    return _provider(request.app).pages


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
