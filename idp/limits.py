"""What protects the process from the network: time for the head and body to arrive, and a cap on what is sent.

uvicorn waits for ever for a body that dribbles in; a fast path must not.
"""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Allowance(NamedTuple):
    """How large a body may be, and how many seconds it may take to arrive."""

    max_bytes: int
    seconds: float


class BodyLimits:
    """Refuses bodies that are too large or too slow, before any handler holds them in memory.

    `uploads` are the few paths that take more than a form.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        seconds: float = 10.0,
        uploads: Mapping[str, Allowance] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._usual = Allowance(max_bytes, seconds)
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with a `receive` that counts and keeps time. A request without a body pays nothing."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        allowed = self._uploads.get(scope.get("path", ""), self._usual)
        deadline = asyncio.get_running_loop().time() + allowed.seconds
        seen = 0
        complete = False

        async def limited() -> Message:
            nonlocal seen, complete
            if complete:  # what comes after the body is the disconnect, and may take as long as it likes
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise BodyTooSlow from None
            seen += len(message.get("body", b""))
            if seen > allowed.max_bytes:
                raise BodyTooLarge
            complete = not message.get("more_body", False)
            return message

        try:
            await self._app(scope, limited, send)
        except BodyTooLarge:
            await _refuse(send, 413)
        except BodyTooSlow:
            await _refuse(send, 408)


class BodyTooLarge(Exception):
    """More was sent than any honest request needs."""


class BodyTooSlow(Exception):
    """It took longer to send than any honest request takes."""


async def _refuse(send: Send, status: int) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
