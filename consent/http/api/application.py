"""The consent API as one FastAPI application of its own, with its own OpenAPI document: `/consent/v1`."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from consent.http.api import check, events, receipts, streams, uses
from consent.http.api.answers import json_answer, refusal_answer
from consent.http.api.document import DocumentedApi, describe
from consent.http.api.ports import ApiPorts, ApiRefusal


def consent_api(ports: ApiPorts) -> FastAPI:
    """The API that apps and resource servers call. Each feature adds its router here."""
    api = DocumentedApi(
        title="Satu Pintu: consent",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        root_path_in_servers=False,  # the document says the whole address, whoever mounts this
    )
    api.router.redirect_slashes = False
    api.state.ports = ports
    answer_refusals(api)
    api.include_router(check.router(ports))
    api.include_router(events.router(ports))
    api.include_router(streams.router(ports))
    api.include_router(receipts.router(ports))
    api.include_router(uses.router(ports))
    describe(api, ports)
    return api


def answer_refusals(api: FastAPI) -> None:
    """Refusals and malformed requests as JSON, never cached."""
    api.add_exception_handler(ApiRefusal, _answer_refusal)
    api.add_exception_handler(RequestValidationError, _answer_malformed)
    api.add_exception_handler(HTTPException, _answer_unknown)


async def _answer_refusal(_request: Request, refused: Exception) -> Response:
    assert isinstance(refused, ApiRefusal)
    return refusal_answer(refused)


async def _answer_malformed(_request: Request, malformed: Exception) -> Response:
    assert isinstance(malformed, RequestValidationError)
    # Where it is wrong and by which rule; never the value, which may be somebody's data.
    faults = [{"where": ".".join(map(str, fault["loc"])), "what": fault["msg"]} for fault in malformed.errors()[:20]]
    said = {"error": "invalid_request", "error_description": "the request is not as documented", "faults": faults}
    return json_answer(said, status=400)


async def _answer_unknown(_request: Request, unknown: Exception) -> Response:
    """No such address, or not by this method."""
    assert isinstance(unknown, HTTPException)
    answer = json_answer({"error": "invalid_request", "error_description": unknown.detail}, status=unknown.status_code)
    answer.headers.update(unknown.headers or {})
    return answer
