"""Who may call which part, and how far a list may be paged."""

from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request

from consent.http.api.ports import ApiCaller, ApiPorts

PARTS: Final = {"config": "govstack:config", "service": "govstack:service", "audit": "govstack:audit"}

# The standard pages by offset, which reads everything before it: bounded here, and `/consent/v1` has lists without end.
MOST_OFFSET: Final = 10_000
MOST_LIMIT: Final = 100

Offset = Annotated[int, Query(ge=0, le=MOST_OFFSET, description="how many to leave out")]
Limit = Annotated[int, Query(ge=1, le=MOST_LIMIT, description="how many to give")]
Id = Annotated[str, Query(min_length=1, max_length=255)]


async def configures(ports: ApiPorts, request: Request) -> ApiCaller:
    """Which app configures."""
    return await ports.caller(request, PARTS["config"])


async def serves(ports: ApiPorts, request: Request) -> ApiCaller:
    """Which app asks about people."""
    return await ports.caller(request, PARTS["service"])


async def audits(ports: ApiPorts, request: Request) -> ApiCaller:
    """Which app audits."""
    return await ports.caller(request, PARTS["audit"])


def actor(caller: ApiCaller) -> str:
    """How revisions name an app that acts for its agency."""
    return f"client:{caller.client_id}"
