"""`/govstack/v1` against its own OpenAPI document, which `test_govstack.py` holds against the published one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis import GenerationMode

from consent.http.govstack.application import govstack_api
from idp.api_ports import api_ports
from idp.govstack_ports import govstack_ports
from idp.provider import Provider
from tests.contracts.running import Running, check_answers, running_at
from tests.support.settings import settings_for

BASE: Final = "/govstack/v1"
EXAMPLES: Final = 10
SCOPES: Final = ("govstack:config", "govstack:service", "govstack:audit")


def document() -> dict[str, Any]:
    """The document, which needs no database."""

    def no_provider() -> Provider:
        raise AssertionError("nobody asks for it")

    ports = api_ports(FastAPI(), settings_for("sqlite+aiosqlite:///nowhere", Path()))
    return govstack_api(govstack_ports(ports, no_provider)).openapi()


DOCUMENT: Final = document()
SCHEMA: Final = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS: Final = [
    pytest.param(path, method, id=f"{method.upper()} {path}")
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_at(tmp_path_factory.mktemp("govstack"), base=BASE, scopes=SCOPES) as opened:
        yield opened


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as documented", "otherwise"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_as_documented(running: Running, path: str, method: str, mode: GenerationMode) -> None:
    operation = SCHEMA[path][method.upper()]
    check_answers(running, operation, mode, {"Authorization": f"Bearer {running.token}"}, most=EXAMPLES)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_without_a_token_nothing_is_answered(running: Running, path: str, method: str) -> None:
    check_answers(running, SCHEMA[path][method.upper()], GenerationMode.POSITIVE, {}, most=EXAMPLES)
