"""An API that runs in this process, what schemathesis sends to it, and how its answers are judged.

The application runs on an event loop of its own; schemathesis makes the requests and judges answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import requests
import schemathesis
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from idp.app import create_app
from idp.migrate import upgrade
from idp.provider import Provider
from tests.support.clock import FakeClock
from tests.support.keyring import install_keys_at
from tests.support.postgres import run_apart
from tests.support.settings import ISSUER, settings_for
from tests.support.token_world import new_world

# What an answer is held to. The others of schemathesis send requests of their own, past our event loop.
load_all_checks()
JUDGED: Final[list[Any]] = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]


@dataclass
class Running:
    """The application on its loop, and a token that opens every door."""

    portal: BlockingPortal
    http: httpx2.AsyncClient
    token: str
    base: str

    def send(self, case: schemathesis.Case[Any], headers: Mapping[str, str]) -> httpx2.Response:
        """Sends what schemathesis made, as it would have sent it."""
        sent = requests.Request(**_known(case.as_transport_kwargs(base_url=f"{ISSUER}{self.base}"))).prepare()
        content = sent.body.encode() if isinstance(sent.body, str) else sent.body
        assert isinstance(content, bytes | None)
        # Its own Authorization headers are guesses.
        kept = {str(name): str(value) for name, value in sent.headers.items() if name.lower() != "authorization"}
        request = httpx2.Request(str(sent.method), str(sent.url), headers={**kept, **headers}, content=content)
        return self.portal.call(self.http.send, request)


def _known(arguments: Mapping[str, Any]) -> dict[str, Any]:
    names = {"method", "url", "headers", "files", "data", "params", "json", "cookies"}
    return {name: value for name, value in arguments.items() if name in names}


async def _open(url: str, folder: Path) -> tuple[Provider, FastAPI]:
    chosen = settings_for(url, folder)
    clock = FakeClock()
    provider = await Provider.open(chosen, clock=clock)
    app = create_app(chosen, clock=clock)
    app.state.provider = provider
    return provider, app


async def _token(provider: Provider, http: httpx2.AsyncClient, scopes: Sequence[str]) -> str:
    world = await new_world(provider, http)
    app = await world.app(
        grant_types=("client_credentials",), scopes=tuple(scopes), redirect_uris=(), purpose_codes=(), resources=()
    )
    answer = await world.token(app, grant_type="client_credentials")
    token: str = answer.json()["access_token"]
    return token


@contextmanager
def running_at(folder: Path, *, base: str, scopes: Sequence[str]) -> Iterator[Running]:
    """The application over a database of its own; `base` is where the API is mounted."""
    url = f"sqlite+aiosqlite:///{folder / 'contract.db'}"
    run_apart(lambda: upgrade(url))
    run_apart(lambda: install_keys_at(url))
    with start_blocking_portal() as portal:
        provider, app = portal.call(_open, url, folder)
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=ISSUER)
        yield Running(portal, http, portal.call(_token, provider, http, scopes), base)
        portal.call(http.aclose)
        portal.call(provider.close)


def check_answers(
    running: Running, operation: Any, mode: GenerationMode, headers: Mapping[str, str], *, most: int
) -> None:
    """Many requests of one operation, and each answer judged."""
    # No mount is reached by an address with a line break in it.
    strategy = operation.as_strategy(generation_mode=mode).filter(lambda case: "%0A" not in case.formatted_path.upper())

    @examples(
        max_examples=most,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def every(case: schemathesis.Case[Any]) -> None:
        answer = running.send(case, headers)
        case.validate_response(answer, checks=JUDGED)
        if not headers:
            assert answer.status_code in {400, 401}, answer.text

    try:
        every()
    except Unsatisfiable:
        # Nothing can be sent that is not as documented: the operation takes anything, and says so.
        assert mode is GenerationMode.NEGATIVE, "no example of a good request could be made"
