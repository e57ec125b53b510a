"""`/consent/v1/check`: may this app have these items of this person, for this purpose, now?

For the agency that holds the data, before each time it gives any. POST is to be preferred: what is in an address ends
in logs. The handlers are plain functions of a request, so that the provider can answer them on its fast lane too.
Spec: Law 27/2022 (UU PDP) articles 20 and 40; RFC 6750 §2 (no token in an address).
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent import gate
from consent.checks.question import Asked, Reason, Verdict
from consent.http.api.answers import json_answer, refusal_answer
from consent.http.api.document import needs, refusal
from consent.http.api.ports import ApiPorts, ApiRefusal
from keys.encoding import strict_json_loads
from keys.errors import MalformedEncoding

Handler = Callable[[Request], Awaitable[Response]]

PATH: Final = "/check"
MAX_BYTES: Final = 65_536
_ONCE: Final = frozenset({"sub", "client_id", "purpose"})

REASONS: Final[list[Any]] = sorted({*map(str, gate.Reason), *map(str, Reason)})

Word = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
ClientId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~:/-]{1,200}$")]
Item = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,200}$")]
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~+/-]{1,8192}=*$")]

_EXAMPLE: Final[dict[str, Any]] = {
    "client_id": "sehat",
    "sub": "Gk0r8YV1nXbT2cQ5mZ4pWfLs7uHjRa9dEoKiCyBvNx3",
    "purpose": "kunjungan-puskesmas",
    "items": ["urn:satupintu:data:dukcapil:family_card"],
}


class CheckQuestion(BaseModel):
    """Who would receive what of whom, and for which purpose.

    The person is named by `sub`, as in the tokens of the app, or by the access `token` that the app presented: then its
    signature, its audience (one of the caller's resources) and its life are checked too. Without `items`, all that the
    caller gives are meant.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "oneOf": [{"required": ["sub", "client_id", "purpose"]}, {"required": ["token"]}],
            "examples": [_EXAMPLE],
        },
    )

    client_id: ClientId | SkipJsonSchema[None] = Field(default=None, description="the app that would receive")
    sub: Word | SkipJsonSchema[None] = None
    token: Token | SkipJsonSchema[None] = None
    purpose: Word | SkipJsonSchema[None] = Field(default=None, description="the purpose's code")
    items: Annotated[list[Item], Field(min_length=1, max_length=100)] | SkipJsonSchema[None] = None

    @model_validator(mode="before")
    @classmethod
    def _says_what_it_names(cls, members: Any) -> Any:
        # A null would mean "not said", and so ask for more than whoever sent it meant.
        if isinstance(members, dict) and None in members.values():
            raise ValueError("leave out what is not said: null is no value")
        return members

    @model_validator(mode="after")
    def _names_one_person(self) -> "CheckQuestion":
        if (self.sub is None) == (self.token is None):
            raise ValueError("name the person by either sub or token")
        if self.sub is not None and (self.client_id is None or self.purpose is None):
            raise ValueError("with sub, say client_id and purpose too")
        return self

    def asked(self) -> Asked:
        """As the check takes it."""
        return Asked(
            client_id=self.client_id,
            sub=self.sub,
            token=self.token,
            purpose=self.purpose,
            items=None if self.items is None else frozenset(self.items),
        )


class CheckAnswer(BaseModel):
    """Whether all that was asked for may be given. `items` may be given even where others, the `missing`, may not."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "permitted": True,
                    "reason": "permitted",
                    "reason_text": "the items may be given",
                    "items": ["urn:satupintu:data:dukcapil:family_card"],
                    "checked_at": "2026-11-24T03:12:09+00:00",
                    "reference": "01936f0d-1a2b-7e44-9c1f-5d2e7f1c0b62",
                    "consent_id": "01936f0c-7b1e-7c33-8d0e-3c1e6f0b9a51",
                    "purpose": "kunjungan-puskesmas",
                    "purpose_version": 3,
                    "legal_basis": "consent",
                    "fetch_type": "periodic",
                    "valid_until": "2027-02-22T03:12:09+00:00",
                },
                {
                    "permitted": False,
                    "reason": "withdrawn",
                    "reason_text": "the consent is withdrawn",
                    "items": [],
                    "checked_at": "2026-11-24T03:12:09+00:00",
                },
            ]
        }
    )

    permitted: bool
    reason: str = Field(json_schema_extra={"enum": REASONS})
    reason_text: str
    items: list[str]
    checked_at: str = Field(json_schema_extra={"format": "date-time"})
    missing: list[str] | SkipJsonSchema[None] = None
    reference: str | SkipJsonSchema[None] = Field(
        default=None, description="to be named when the use is reported: as check, or as token_id when asked by token"
    )
    consent_id: str | SkipJsonSchema[None] = None
    purpose: str | SkipJsonSchema[None] = None
    purpose_version: int | SkipJsonSchema[None] = None
    legal_basis: str | SkipJsonSchema[None] = None
    fetch_type: str | SkipJsonSchema[None] = None
    valid_until: str | SkipJsonSchema[None] = Field(default=None, json_schema_extra={"format": "date-time"})


def answering(ports: ApiPorts) -> Handler:
    """The handler of both methods."""

    async def check(request: Request) -> Response:
        try:
            asked = read_query(request) if request.method == "GET" else await read_body(request)
            return json_answer(as_json(await ports.check(request, asked)))
        except ApiRefusal as refused:
            return refusal_answer(refused)

    return check


def hot_routes(ports: ApiPorts, *, under: str) -> list[Route]:
    """The same, for the fast lane."""
    return [Route(f"{under}{PATH}", answering(ports), methods=["GET", "POST"])]


def router(ports: ApiPorts) -> APIRouter:
    """The operations, documented."""
    made = APIRouter(tags=["check"])
    handler = answering(ports)
    busy = refusal("Too much at once; nothing may be given now.")
    common: dict[str, Any] = {"response_model": CheckAnswer, "status_code": 200, "responses": {503: busy}}
    body = {"required": True, "content": {"application/json": {"schema": CheckQuestion.model_json_schema()}}}
    parameters = [_parameter(name, required=True) for name in ("client_id", "sub", "purpose")] + [_ITEM_PARAMETER]

    @made.post(
        PATH,
        summary="May these items be given?",
        operation_id="check",
        openapi_extra={**needs("consent:check"), "requestBody": body},
        **common,
    )
    async def post_check(request: Request) -> Response:
        return await handler(request)

    @made.get(
        PATH,
        summary="The same, without a token of the person in the address",
        operation_id="check_by_address",
        openapi_extra={**needs("consent:check"), "parameters": parameters},
        **common,
    )
    async def get_check(request: Request) -> Response:
        return await handler(request)

    return made


def _parameter(name: str, *, required: bool) -> dict[str, Any]:
    schema = CheckQuestion.model_json_schema()["properties"][name]
    return {"name": name, "in": "query", "required": required, "schema": schema, "example": _EXAMPLE[name]}


_ITEM_PARAMETER: Final = {
    "name": "item",
    "in": "query",
    "required": False,
    "description": "repeated for each item",
    "explode": True,
    "schema": CheckQuestion.model_json_schema()["properties"]["items"],
    "example": _EXAMPLE["items"],
}


async def read_body(request: Request) -> Asked:
    """The question in a body. Error: `ApiRefusal` 400."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiRefusal(400, "invalid_request", "send the question as application/json")
    try:
        members = strict_json_loads(await request.body(), max_bytes=MAX_BYTES)
    except MalformedEncoding:
        raise ApiRefusal(400, "invalid_request", "the body is not JSON") from None
    return read_question(members)


def read_query(request: Request) -> Asked:
    """The question in an address. Error: `ApiRefusal` 400, also for a parameter that is unknown or sent twice."""
    members: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name == "item":
            members.setdefault("items", []).append(value)
        elif name in _ONCE and name not in members:
            members[name] = value
        else:
            raise ApiRefusal(400, "invalid_request", "the parameters are client_id, sub, purpose, each once, and item")
    return read_question(members)


def read_question(members: Any) -> Asked:
    """The question. Error: `ApiRefusal` 400, which never repeats a value: it may be somebody's."""
    try:
        return CheckQuestion.model_validate(members).asked()
    except ValidationError as wrong:
        fault = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise ApiRefusal(400, "invalid_request", f"{where}: {fault['msg']}" if where else fault["msg"]) from None


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The answer's members; what is not said is not there."""
    said: dict[str, Any] = {
        "permitted": verdict.permitted,
        "reason": str(verdict.reason),
        "reason_text": verdict.reason_text,
        "items": list(verdict.items),
        "checked_at": verdict.checked_at,
    }
    if verdict.missing:
        said["missing"] = list(verdict.missing)
    for name in ("reference", "consent_id", "purpose", "purpose_version", "legal_basis", "fetch_type", "valid_until"):
        value = getattr(verdict, name)
        if value is not None:
            said[name] = value
    return said
