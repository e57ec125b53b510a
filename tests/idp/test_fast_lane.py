"""The fast lane answers as the ordinary way does, only sooner."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from idp.errors import InvalidRequest, OAuthError, PageRefusal
from idp.fast_lane import Application, FastLane
from idp.limits import BodyLimits

pytestmark = pytest.mark.anyio


class Bug(RuntimeError):
    """Something that nobody foresaw."""


async def hot(request: Request) -> Response:
    """What each path does is its query."""
    match request.scope["query_string"]:
        case b"refusal":
            raise InvalidRequest("no")
        case b"page":
            raise PageRefusal("no")
        case b"bug":
            raise Bug
        case b"where":
            return PlainTextResponse("lane" if "router" not in request.scope else "ordinary")
        case _:
            return PlainTextResponse(str(len(await request.body())))


async def told(_request: Request, error: Exception) -> Response:
    return JSONResponse({"told": type(error).__name__}, 500 if isinstance(error, Bug) else 400)


@pytest.fixture(params=["lane", "ordinary"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[httpx2.AsyncClient]:
    """The same application, with the lane and without it."""
    routes = [Route("/hot", hot, methods=["GET", "POST", "OPTIONS"])]
    app = Application(docs_url=None, redoc_url=None, openapi_url=None)
    app.router.redirect_slashes = False
    app.router.routes[:0] = routes
    app.add_middleware(BodyLimits, max_bytes=100, seconds=0.2)
    for kind in (OAuthError, PageRefusal, Exception):
        app.add_exception_handler(kind, told)
    if request.param == "lane":
        app.lane = FastLane(app, routes, max_bytes=100)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="https://idp.test") as opened:
        yield opened


@pytest.mark.parametrize(
    ("method", "address", "sent", "expected"),
    [
        ("GET", "/hot", {}, (200, "0")),
        ("POST", "/hot", {"content": b"x" * 100}, (200, "100")),
        ("POST", "/hot", {"content": b"x" * 101}, (413, "")),
        ("GET", "/hot?refusal", {}, (400, '{"told":"InvalidRequest"}')),
        ("GET", "/hot?page", {}, (400, '{"told":"PageRefusal"}')),
        ("GET", "/hot?bug", {}, (500, '{"told":"Bug"}')),
        ("PUT", "/hot", {}, (405, None)),
        ("HEAD", "/hot", {}, (200, "")),
        ("GET", "/hot/", {}, (404, None)),
    ],
)
async def test_both_ways_answer_the_same(
    client: httpx2.AsyncClient, method: str, address: str, sent: dict[str, Any], expected: tuple[int, str | None]
) -> None:
    answer = await client.request(method, address, **sent)
    assert answer.status_code == expected[0]
    assert expected[1] in {None, answer.text}


async def test_the_lane_is_taken_by_what_it_is_for_and_by_nothing_else(
    client: httpx2.AsyncClient, request: pytest.FixtureRequest
) -> None:
    way = request.node.callspec.params["client"]
    assert (await client.get("/hot?where")).text == way
    assert (await client.post("/hot?where")).text == way
    assert (await client.options("/hot?where")).text == "ordinary"


async def test_a_bug_is_answered_and_still_the_servers_to_know() -> None:
    routes = [Route("/hot", hot, methods=["GET"])]
    app = Application()
    app.add_exception_handler(Exception, told)
    app.lane = FastLane(app, routes, max_bytes=100)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://idp.test") as client:
        with pytest.raises(Bug):
            await client.get("/hot?bug")
