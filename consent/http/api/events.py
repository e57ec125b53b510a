"""`/consent/v1/events`: what an app, or an agency that gives data, is told, polled for; and what it attests.

`/consent/v1/agency/events` is the same for an agency that gives data, as told to any of its apps that may ask
`consent:check`.
Spec: RFC 8936 §2; RFC 8417.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from consent.http.api.answers import json_answer
from consent.http.api.document import needs, refusal
from consent.http.api.ports import ApiCaller, ApiPorts, ApiRefusal
from consent.withdrawal.attestations import TYP as ATTESTATION
from consent.withdrawal.attestations import attest, verify
from consent.withdrawal.errors import AttestationRefused, NoDelivery
from consent.withdrawal.polling import Listener, acknowledge, note_errors, waiting_for
from consent.withdrawal.tokens import ALG, TYP, claims_of, told
from keys.encoding import strict_json_loads
from keys.errors import MalformedEncoding

SCOPE: Final = "consent:events"
# An agency's own systems, that answer for what it gives, are those that may ask whether it may be given.
AGENCY_SCOPE: Final = "consent:check"
MOST_EVENTS: Final = 100
WAITS_SECONDS: Final = 20.0
LOOKS_EVERY_SECONDS: Final = 1.0
MOST_WAITING: Final = 200
_MAX_BYTES: Final = 65_536
_STATUS_OF: Final = {
    "no_keys": 403,
    "invalid_attestation": 400,
    "already_attested": 409,
    "not_expected": 409,
    "out_of_order": 409,
}

Finds = Callable[[Request], Awaitable[tuple[ApiCaller, Listener]]]
Body = TypeVar("Body", bound=BaseModel)
Jti = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]


class SetError(BaseModel):
    """Why a token could not be taken. Spec: RFC 8936 §2.6."""

    model_config = ConfigDict(strict=True)

    err: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    description: Annotated[str, StringConstraints(max_length=1000)] = ""

    def line(self) -> str:
        """In one printable line."""
        said = f"{self.err}: {self.description}" if self.description else self.err
        return "the recipient: " + "".join(one if one.isprintable() else "?" for one in said)


class PollRequest(BaseModel):
    """What is wanted, and what was taken. Spec: RFC 8936 §2.2."""

    model_config = ConfigDict(
        strict=True, json_schema_extra={"examples": [{"maxEvents": 10, "returnImmediately": True, "ack": []}]}
    )

    maxEvents: int = Field(default=MOST_EVENTS, ge=0, le=1_000_000)  # noqa: N815 - the specification's word
    returnImmediately: bool = False  # noqa: N815 - likewise
    ack: list[Jti] = Field(default_factory=list, max_length=1000)
    setErrs: dict[Jti, SetError] = Field(default_factory=dict, max_length=100)  # noqa: N815 - likewise


class PollAnswer(BaseModel):
    """Tokens by their `jti`. Spec: RFC 8936 §2.3."""

    sets: dict[str, str]
    moreAvailable: bool  # noqa: N815 - the specification's word


class AttestationAnswer(BaseModel):
    """The delivery as it is now. `closed`: nothing more is expected."""

    delivery: str
    state: str
    at: str = Field(json_schema_extra={"format": "date-time"})
    closed: bool


@dataclass(slots=True)
class Waiters:
    """How many wait for news in this process. Whoever comes when it is full is answered at once."""

    now: int = 0

    def has_room(self) -> bool:
        """Whether another may wait."""
        return self.now < MOST_WAITING


def router(ports: ApiPorts) -> APIRouter:
    """The operations, documented."""
    made = APIRouter(tags=["events"])
    waiters = Waiters()
    for prefix, finds in (("", own(ports)), ("/agency", of_agency(ports))):
        _add_poll(made, ports, prefix, finds, waiters)
    _add_attest(made, ports)
    return made


def own(ports: ApiPorts) -> Finds:
    """The calling app, as who listens."""

    async def find(request: Request) -> tuple[ApiCaller, Listener]:
        caller = await ports.caller(request, SCOPE)
        return caller, Listener(agency_id=caller.agency_id, client_id=caller.client_id)

    return find


def of_agency(ports: ApiPorts) -> Finds:
    """The calling app's agency, as who listens."""

    async def find(request: Request) -> tuple[ApiCaller, Listener]:
        caller = await ports.caller(request, SCOPE)
        if AGENCY_SCOPE not in caller.scopes:
            raise ApiRefusal(403, "insufficient_scope", f"the access token needs the scope {AGENCY_SCOPE} too")
        return caller, Listener(agency_id=caller.agency_id, client_id="")

    return find


def _add_poll(made: APIRouter, ports: ApiPorts, prefix: str, finds: Finds, waiters: Waiters) -> None:
    body = {"required": True, "content": {"application/json": {"schema": PollRequest.model_json_schema()}}}

    @made.post(
        f"{prefix}/events/poll",
        summary="What to stop" if not prefix else "What to stop giving",
        operation_id=f"poll{'_agency' if prefix else ''}",
        response_model=PollAnswer,
        openapi_extra={**needs(SCOPE), "requestBody": body},
    )
    async def poll(request: Request) -> Response:
        _caller, listener = await finds(request)
        asked = await read_poll(request)
        async with ports.transaction() as session:
            await acknowledge(session, listener, asked.ack, now=ports.clock())
            errors = {jti: error.line() for jti, error in asked.setErrs.items()}
            await note_errors(session, listener, errors, now=ports.clock())
        most = min(asked.maxEvents, MOST_EVENTS)
        answer = await _look(ports, listener, most)
        if not answer["sets"] and most and not asked.returnImmediately and waiters.has_room():
            waiters.now += 1
            try:
                answer = await _wait(request, ports, listener, most)
            finally:
                waiters.now -= 1
        return json_answer(answer)


async def _wait(request: Request, ports: ApiPorts, listener: Listener, most: int) -> dict[str, Any]:
    """Looks again until there is something, the time is over, or nobody listens any more."""
    loop = asyncio.get_running_loop()
    until = loop.time() + WAITS_SECONDS
    answer: dict[str, Any] = {"sets": {}, "moreAvailable": False}
    while not answer["sets"] and loop.time() < until and not await request.is_disconnected():
        # Nothing of the database is held meanwhile.
        await asyncio.sleep(LOOKS_EVERY_SECONDS)
        answer = await _look(ports, listener, most)
    return answer


async def _look(ports: ApiPorts, listener: Listener, most: int) -> dict[str, Any]:
    async with ports.reading() as session:
        waiting = await waiting_for(session, listener, now=ports.clock(), most=most)
        tellings = await told(session, waiting.delivery_ids)
    sets = {}
    for telling in tellings:
        claims = claims_of(telling, issuer=ports.issuer, name=ports.events.subject_name)
        sets[telling.jti] = await ports.sign(claims, typ=TYP, alg=ALG)
    return {"sets": sets, "moreAvailable": waiting.more}


def _add_attest(made: APIRouter, ports: ApiPorts) -> None:
    media_type = f"application/{ATTESTATION}"
    body = {
        "required": True,
        "content": {media_type: {"schema": {"type": "string", "description": "a compact JWS", "examples": ["ey…"]}}},
    }

    @made.post(
        "/events/attestations",
        summary="Signed: we know, we stopped, we erased",
        operation_id="attest",
        status_code=201,
        response_model=AttestationAnswer,
        responses={404: refusal("No such delivery of yours."), 409: refusal("Attested before, or out of order.")},
        openapi_extra={**needs(SCOPE), "requestBody": body},
    )
    async def attestation(request: Request) -> Response:
        caller = await ports.caller(request, SCOPE)
        if _media_type(request) not in {media_type, "application/jwt"}:
            raise ApiRefusal(400, "invalid_request", f"send the statement as {media_type}")
        jws = (await request.body()).decode("ascii", "replace").strip()
        now = ports.clock()
        try:
            said = verify(
                jws,
                client_id=caller.client_id,
                keys=await ports.events.client_keys(caller.client_id),
                expected_audience=ports.issuer,
                now=now,
            )
            async with ports.transaction() as session:
                attested = await attest(
                    session,
                    said,
                    agency_id=caller.agency_id,
                    as_agency=AGENCY_SCOPE in caller.scopes,
                    now=now,
                    entropy=ports.entropy,
                )
        except AttestationRefused as refused:
            raise ApiRefusal(_STATUS_OF[refused.code], refused.code, refused.why) from None
        except NoDelivery as unknown:
            raise ApiRefusal(404, "not_found", str(unknown)) from None
        answer = {
            "delivery": attested.jti,
            "state": attested.state,
            "at": attested.at.isoformat(),
            "closed": attested.closed,
        }
        return json_answer(answer, status=201)


async def read_poll(request: Request) -> PollRequest:
    """The poll's parameters. Error: `ApiRefusal` 400."""
    return await read_json(request, PollRequest)


async def read_json(request: Request, model: type[Body]) -> Body:
    """A body as a model. Error: `ApiRefusal` 400, which repeats nothing of it."""
    if _media_type(request) != "application/json":
        raise ApiRefusal(400, "invalid_request", "send application/json")
    try:
        return model.model_validate(strict_json_loads(await request.body(), max_bytes=_MAX_BYTES))
    except MalformedEncoding:
        raise ApiRefusal(400, "invalid_request", "the body is not JSON") from None
    except ValidationError as wrong:
        fault = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise ApiRefusal(400, "invalid_request", f"{where}: {fault['msg']}" if where else fault["msg"]) from None


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
