"""Whether the process lives, and whether it can serve: two questions with different answers.

A process that is not ready must not be restarted for that: the database will come back.
"""

import structlog
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from idp.answers import json_answer
from idp.clients.algorithms import SIGNING_ALGORITHMS
from idp.provider import provider_of

log = structlog.get_logger()


def routes() -> list[BaseRoute]:
    """The two questions."""
    return [
        Route("/health/live", live, methods=["GET"]),
        Route("/health/ready", ready, methods=["GET"]),
    ]


async def live(_request: Request) -> Response:
    """The process answers."""
    return json_answer({"status": "live"})


async def ready(request: Request) -> Response:
    """The database answers, and there is a key for every algorithm that an app may have chosen.

    Says what is missing and no more: no address, no error text.
    """
    provider = provider_of(request)
    missing = [f"signing key {alg}" for alg in SIGNING_ALGORITHMS if alg not in provider.keys.algs]
    try:
        async with provider.database.reading() as session:
            await session.execute(select(1))
    except Exception as fault:
        log.warning("not_ready", kind=type(fault).__name__)
        missing.append("database")
    if missing:
        return json_answer({"status": "not ready", "missing": missing}, status=503)
    return json_answer({"status": "ready"})
