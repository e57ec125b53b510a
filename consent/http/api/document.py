"""The OpenAPI document of `/consent/v1`: what each router says of itself, and what all of them have in common.

Spec: OpenAPI Specification 3.1.0.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from consent.http.api.ports import ApiPorts

SCHEME: Final = "client_credentials"
SCOPES: Final[Mapping[str, str]] = {
    "consent:check": "ask whether data may be given",
    "consent:report": "report uses of data",
    "consent:events": "take withdrawals, and say what was done",
    "consent:audit": "read the records of the own agency",
}
_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})
_REFUSAL: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "examples": ["invalid_token"]},
        "error_description": {"type": "string"},
        "faults": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["where", "what"],
                "properties": {"where": {"type": "string"}, "what": {"type": "string"}},
            },
        },
    },
}
_REFUSALS: Final[Mapping[str, str]] = {
    "400": "The request is not as documented.",
    "401": "No access token, or none that is alive and for this provider.",
    "403": "The access token lacks the scope, or the agency is suspended.",
}


class DocumentedApi(FastAPI):
    """An application that publishes the document that it is given, and not what FastAPI makes of its routes."""

    document: dict[str, Any]

    def openapi(self) -> dict[str, Any]:
        """The document."""
        return self.document


def _no_scope(_path: str) -> Sequence[str]:
    return ()


def describe(
    api: DocumentedApi,
    ports: ApiPorts,
    *,
    path: str = "/consent/v1",
    scopes: Mapping[str, str] = SCOPES,
    scopes_of: Callable[[str], Sequence[str]] = _no_scope,
) -> None:
    """Lets the application, mounted at `path`, publish its document. To be called when every router is there.

    `scopes_of` tells the scopes that the operations at a path need, where they do not say so themselves.
    """
    document = get_openapi(
        title=api.title,
        version=api.version,
        summary="For agencies' apps and resource servers.",
        servers=[{"url": f"{ports.issuer}{path}"}],
        routes=api.routes,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Refusal"] = dict(_REFUSAL)
    # FastAPI announces answers of its own, which are not the ones that are given.
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {
        SCHEME: {
            "type": "oauth2",
            "flows": {"clientCredentials": {"tokenUrl": f"{ports.issuer}/token", "scopes": dict(scopes)}},
        }
    }
    for address, operation in _operations(document):
        operation.setdefault("security", [{SCHEME: list(scopes_of(address))}])
        answers = operation["responses"]
        answers.pop("422", None)
        for status, description in _REFUSALS.items():
            answers.setdefault(status, refusal(description))
    api.document = document


def needs(scope: str) -> dict[str, Any]:
    """For `openapi_extra`: the scope that an operation needs."""
    return {"security": [{SCHEME: [scope]}]}


def refusal(description: str) -> dict[str, Any]:
    """A refusal as an operation documents it."""
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
    }


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for address, path in document.get("paths", {}).items():
        for method, operation in path.items():
            if method in _METHODS:
                yield address, operation
