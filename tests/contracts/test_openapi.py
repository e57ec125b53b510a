"""`/consent/v1` against its own OpenAPI document.

Whatever fits the document, and whatever breaks it, is sent; every answer must be one that the document has.

The application runs in this process, on an event loop of its own; schemathesis makes the requests and judges answers.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode

from consent.http.api.application import consent_api
from idp.api_ports import api_ports
from idp.app import API
from tests.contracts.running import Running, check_answers, running_at
from tests.support.settings import ISSUER, settings_for

EXAMPLES: Final = 25
SCOPES: Final = ("consent:check", "consent:report", "consent:events", "consent:audit")


def document() -> dict[str, Any]:
    """The document, which needs no database."""
    settings = settings_for("sqlite+aiosqlite:///nowhere", Path())
    return consent_api(api_ports(FastAPI(), settings)).openapi()


DOCUMENT: Final = document()
SCHEMA: Final = schemathesis.openapi.from_dict(DOCUMENT)


@schemathesis.serializer("application/consent-attestation+jwt")
def as_text(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """A signed statement as it is sent: as it stands."""
    return str(value).encode("utf-8", "surrogatepass")


# What the country may know without asking who wants to.
PUBLIC: Final = {("/uses/delayed", "get")}
OPERATIONS: Final = [
    pytest.param(path, method, id=f"{method.upper()} {path}")
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
]
GUARDED: Final = [one for one in OPERATIONS if tuple(one.values) not in PUBLIC]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_at(tmp_path_factory.mktemp("openapi"), base=API, scopes=SCOPES) as opened:
        yield opened


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as documented", "otherwise"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_as_documented(running: Running, path: str, method: str, mode: GenerationMode) -> None:
    operation = SCHEMA[path][method.upper()]
    check_answers(running, operation, mode, {"Authorization": f"Bearer {running.token}"}, most=EXAMPLES)


@pytest.mark.parametrize(("path", "method"), GUARDED)
def test_without_a_token_nothing_is_answered(running: Running, path: str, method: str) -> None:
    check_answers(running, SCHEMA[path][method.upper()], GenerationMode.POSITIVE, {}, most=EXAMPLES)


@pytest.mark.parametrize(("path", "method"), GUARDED)
def test_every_operation_says_who_may_call_it_and_how_it_refuses(path: str, method: str) -> None:
    operation = DOCUMENT["paths"][path][method]
    (needed,) = operation["security"]
    (scope,) = needed["client_credentials"]
    assert (
        scope in DOCUMENT["components"]["securitySchemes"]["client_credentials"]["flows"]["clientCredentials"]["scopes"]
    )
    assert operation.keys() >= {"summary", "operationId", "tags"}
    for status in ("400", "401", "403"):
        content = operation["responses"][status]["content"]
        assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Refusal"}
    assert "422" not in operation["responses"]


def test_what_is_public_says_so() -> None:
    public = {
        (path, method)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if not operation["security"]
    }
    assert public == PUBLIC


def test_the_examples_are_examples_of_what_they_explain() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        whole = {**schema, "components": DOCUMENT["components"]}
        for example in schema.get("examples", ()):
            assert not list(Draft202012Validator(whole).iter_errors(example)), name
    body = DOCUMENT["paths"]["/check"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    for example in body["examples"]:
        assert not list(Draft202012Validator(body).iter_errors(example))


def test_the_document_is_published_where_the_api_is(running: Running) -> None:
    answer = running.portal.call(running.http.get, f"{API}/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["servers"] == [{"url": f"{ISSUER}{API}"}]
    assert answer.json()["paths"].keys() == DOCUMENT["paths"].keys()
