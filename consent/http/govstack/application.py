"""The GovStack Consent Building Block API 1.1 over the same registry and records: `/govstack/v1`.

Paths, members, pagination and status codes are the published document's. Where that is weaker than what this service
promises, the service stays as it is, and docs/divergences.md says so.
"""

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from consent.errors import ConsentError
from consent.http.api.answers import json_answer
from consent.http.api.application import answer_refusals
from consent.http.api.document import DocumentedApi, describe
from consent.http.govstack import audit, data_agreements, individuals, policies, records, service, webhooks
from consent.http.govstack.access import PARTS
from consent.http.govstack.ports import GovStackPorts

_SCOPES: Final = {
    PARTS["config"]: "set up policies, data agreements and webhooks",
    PARTS["service"]: "read records, ask people, take consents back",
    PARTS["audit"]: "read every record with its signature",
}


def govstack_api(ports: GovStackPorts) -> FastAPI:
    """The façade, with its own OpenAPI document at `/govstack/v1/openapi.json`."""
    api = DocumentedApi(
        title="Consent BB API", version="1.1.0", docs_url=None, redoc_url=None, openapi_url="/openapi.json"
    )
    api.router.redirect_slashes = False
    api.state.ports = ports
    answer_refusals(api)
    api.add_exception_handler(ConsentError, _answer_consent)
    for part in (policies, data_agreements, individuals, webhooks, service, records, audit):
        api.include_router(part.router(ports))
    describe(api, ports, path="/govstack/v1", scopes=_SCOPES, scopes_of=lambda path: [PARTS[path.split("/")[1]]])
    return api


async def _answer_consent(_request: Request, refused: Exception) -> Response:
    """What the registry or the records refuse is the standard's "bad input parameter"."""
    return json_answer({"error": "invalid_request", "error_description": str(refused)}, status=400)
