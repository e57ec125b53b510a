"""A witness, as a web application of its own: two paths, no session, no database but its own file.

Spec: C2SP tlog-witness
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent.log.witness import MAX_BODY_BYTES, Answer, Witness

READING_SECONDS: Final = 20.0


def witness_app(witness: Witness, *, clock: Callable[[], datetime]) -> Starlette:
    """The application that answers for one witness."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            # Whoever sends a byte a minute would else hold a connection for ever.
            async with asyncio.timeout(READING_SECONDS):
                body = await _read(request)
        except TimeoutError:
            return _response(Answer(408, "the request did not come in time\n"))
        if body is None:
            return _response(Answer(413, f"a request has at most {MAX_BODY_BYTES} bytes\n"))
        # The witness waits for the disk.
        return _response(await run_in_threadpool(witness.add_checkpoint, body, now=clock()))

    async def checkpoint(request: Request) -> Response:
        return _response(await run_in_threadpool(witness.checkpoint, request.path_params["origin_hash"]))

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{origin_hash}/checkpoint", checkpoint, methods=["GET"]),
        ]
    )


async def _read(request: Request) -> bytes | None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _response(answer: Answer) -> Response:
    # As a header: `media_type` would add a charset to text/x.tlog.size, which the specification does not have.
    headers = {"Content-Type": answer.content_type, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return Response(answer.body.encode(), answer.status, headers)
