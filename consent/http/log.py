"""`/log/`: the checkpoint, the tiles and what is needed to believe them. Public, the same for all, made for caches.

Spec: C2SP tlog-tiles, APIs
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent.log.checkpoint import CONTENT_TYPE as CHECKPOINT_TYPE
from consent.log.errors import FormatRefused, LogError
from consent.log.publish import NothingPublished, PublishedLog
from consent.log.tiles import CONTENT_TYPE as TILE_TYPE
from consent.log.tiles import Tile

log = structlog.get_logger()

CHECKPOINT_SECONDS: Final = 2
TRUST_SECONDS: Final = 300
FOR_EVER: Final = "public, max-age=31536000, immutable"

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class LogPorts:
    """What these pages are handed: the log, and the public keys by which receipts are believed (a JWK Set)."""

    log: Callable[[], PublishedLog]
    receipt_keys: Callable[[], Awaitable[Mapping[str, Any]]]


def routes(ports: LogPorts, *, prefix: str = "/log") -> list[Route]:
    """The addresses."""

    async def checkpoint(_request: Request) -> Response:
        served = await ports.log().served()
        return _answer(served.text.encode(), CHECKPOINT_TYPE, f"public, max-age={CHECKPOINT_SECONDS}")

    async def tile(request: Request) -> Response:
        try:
            asked = Tile.parse(f"tile/{request.path_params['tile']}")
        except FormatRefused as refused:
            return _refusal(404, refused.why)
        data = await ports.log().tile(asked)
        if data is None:
            return _refusal(404, "the log's checkpoint does not cover this tile")
        # A partial tile too: its path says its width, so it never means another content.
        return _answer(data, TILE_TYPE, FOR_EVER)

    async def trust(_request: Request) -> Response:
        document = orjson.dumps(ports.log().trust(await ports.receipt_keys()), option=orjson.OPT_INDENT_2)
        return _answer(document, "application/json", f"public, max-age={TRUST_SECONDS}")

    return [
        Route(f"{prefix}/checkpoint", _guarded(checkpoint), methods=["GET"]),
        Route(f"{prefix}/tile/{{tile:path}}", _guarded(tile), methods=["GET"]),
        Route(f"{prefix}/trust.json", _guarded(trust), methods=["GET"]),
    ]


def _guarded(handler: Handler) -> Handler:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except NothingPublished as nothing:
            return _refusal(404, nothing.why)
        except LogError as stopped:
            log.critical("log_not_served", why=stopped.why)
            return _refusal(503, "the log is not served until an operator has looked")

    return answer


def _answer(body: bytes, content_type: str, caching: str) -> Response:
    # As a header: `media_type` would add a charset of its own.
    return Response(body, headers={"Content-Type": content_type, "Cache-Control": caching, **_HEADERS})


def _refusal(status: int, why: str) -> Response:
    headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", **_HEADERS}
    return Response(f"{why}\n".encode(), status, headers)


_HEADERS: Final = {"Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"}
