"""Bodies that are too large or too slow never reach a handler's memory."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from idp.limits import BodyLimits

pytestmark = [pytest.mark.anyio, pytest.mark.threat("N87")]


async def length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


def limited(*, seconds: float = 10.0) -> Starlette:
    """An application behind the limits, as `idp.app` puts them."""
    limits = Middleware(BodyLimits, max_bytes=1000, seconds=seconds)
    return Starlette(routes=[Route("/", length, methods=["GET", "POST"])], middleware=[limits])


async def post(content: bytes | AsyncIterator[bytes], *, seconds: float = 10.0) -> httpx2.Response:
    transport = httpx2.ASGITransport(limited(seconds=seconds))
    async with httpx2.AsyncClient(transport=transport, base_url="https://idp.test") as client:
        return await client.post("/", content=content)


async def test_a_body_up_to_the_cap_arrives_whole() -> None:
    assert (await post(b"x" * 1000)).text == "1000"


async def test_a_larger_body_is_refused() -> None:
    assert (await post(b"x" * 1001)).status_code == 413


async def test_a_larger_body_in_pieces_is_refused_at_the_piece_that_is_too_much() -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 300
            yield b"x" * 300

    assert (await post(pieces())).status_code == 413
    assert sent <= 1500


async def test_a_body_that_dribbles_in_is_cut_off() -> None:
    async def nothing_comes() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
    await limited(seconds=0.05)(scope, nothing_comes, send)
    assert sent[0]["status"] == 408


async def test_a_timeout_of_the_handlers_own_is_not_called_the_senders_fault() -> None:
    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        raise TimeoutError("the database did not answer")

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Message) -> None:
        raise AssertionError("nothing is answered")

    with pytest.raises(TimeoutError):
        await BodyLimits(app, max_bytes=1)({"type": "http", "method": "POST"}, receive, send)


async def test_a_request_without_a_body_is_passed_on_as_it_is() -> None:
    seen: list[Receive] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        seen.append(receive)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        raise AssertionError("nothing is answered")

    await BodyLimits(app, max_bytes=1)({"type": "http", "method": "GET"}, receive, send)
    assert seen == [receive]
