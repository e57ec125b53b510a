"""`/consent/v1/uses`: agencies that give data say what they gave; and what is hidden or missing, in numbers.

What the provider itself discloses it writes down itself. The rest is reported: in batches that can be sent again, each
use with the consent that stood then, or with the law that it is done by.
Spec: Law 27/2022 (UU PDP) articles 31 and 32; draft-ietf-httpapi-idempotency-key-header.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from consent.errors import Erased
from consent.http.api.answers import json_answer
from consent.http.api.document import needs, refusal
from consent.http.api.ports import ApiPorts, ApiRefusal
from consent.http.api.use_models import (
    DelayAnswer,
    DelayRenewal,
    HiddenAnswer,
    ReconciliationAnswer,
    UseResult,
    UsesAnswer,
    UsesReport,
    body_of,
)
from consent.models import Agency
from consent.uses.delays import DelayRefused, Hidden, NoSuchUse, hidden_by_agency, renew_delay
from consent.uses.reconciliation import KEEP, Period, Reconciled, reconcile, usual_period
from consent.uses.reporting import OtherBatch, Reporter, report
from keys.encoding import canonical_json, strict_json_loads
from keys.entropy import sha256
from keys.errors import MalformedEncoding

REPORT: Final = "consent:report"
AUDIT: Final = "consent:audit"
PATH: Final = "/uses"
MAX_BYTES: Final = 2 * 1024 * 1024
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
# The header is a structured field: a string in quotes; most send it without.
_QUOTED: Final = re.compile(r'"([\x21\x23-\x5b\x5d-\x7e]{1,200})"')
_LONGEST_PERIOD: Final = KEEP

Model = TypeVar("Model", bound=BaseModel)


def router(ports: ApiPorts) -> APIRouter:
    """The operations, documented."""
    made = APIRouter(tags=["uses"])
    _add_report(made, ports)
    _add_delays(made, ports)
    _add_reconciliation(made, ports)
    return made


def _add_report(made: APIRouter, ports: ApiPorts) -> None:
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "the same again, with the same body, has the same answer",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        "example": "f2b1c0d4-2026-11-24",
    }

    @made.post(
        PATH,
        summary="What was given",
        operation_id="report_uses",
        response_model=UsesAnswer,
        status_code=200,
        responses={409: refusal("The idempotency key belongs to another batch.")},
        openapi_extra={**needs(REPORT), "parameters": [key], "requestBody": body_of(UsesReport)},
    )
    async def report_uses(request: Request) -> Response:
        caller = await ports.caller(request, REPORT)
        idempotency_key = _idempotency_key(request)
        batch, digest = await _read(request, UsesReport)
        now = ports.clock()
        try:
            async with ports.transaction() as session:
                by = Reporter(
                    client_id=caller.client_id,
                    agency_id=caller.agency_id,
                    agency_code=(await session.get_one(Agency, caller.agency_id)).code,
                )
                answered = await report(
                    session,
                    by=by,
                    idempotency_key=idempotency_key,
                    sha256=digest,
                    uses=[use.reported() for use in batch.uses],
                    now=now,
                    entropy=ports.entropy,
                )
                await ports.after_report(session, sorted(answered.consent_ids))
        except OtherBatch as other:
            raise ApiRefusal(409, "idempotency_conflict", str(other)) from None
        return json_answer(
            {"batch": answered.batch_id, "accepted": answered.accepted, "results": _in_order(answered.results)}
        )


def _add_delays(made: APIRouter, ports: ApiPorts) -> None:
    @made.post(
        f"{PATH}/delay",
        summary="Keep a use unseen for longer",
        operation_id="renew_delay",
        response_model=DelayAnswer,
        status_code=200,
        responses={
            404: refusal("No use was reported under this reference."),
            409: refusal("The person sees it already, or the date is too early or too late."),
        },
        openapi_extra={**needs(REPORT), "requestBody": body_of(DelayRenewal)},
    )
    async def renew(request: Request) -> Response:
        caller = await ports.caller(request, REPORT)
        asked, _ = await _read(request, DelayRenewal)
        delay = asked.delay.delay()
        try:
            async with ports.transaction() as session:
                act_id = await renew_delay(
                    session,
                    provider_agency_id=caller.agency_id,
                    reference=asked.reference,
                    delay=delay,
                    by=caller.client_id,
                    now=ports.clock(),
                    entropy=ports.entropy,
                )
        except (NoSuchUse, Erased):
            raise ApiRefusal(404, "not_found", "no use was reported under this reference") from None
        except DelayRefused as refused:
            raise ApiRefusal(409, "delay_refused", refused.why) from None
        return json_answer({"id": act_id, "visible_from": delay.until.isoformat()})

    @made.get(
        f"{PATH}/delayed",
        summary="How much is hidden, for everybody to read",
        operation_id="count_delayed",
        response_model=HiddenAnswer,
        openapi_extra={"security": []},
    )
    async def count_delayed(_request: Request) -> Response:
        now = ports.clock()
        async with ports.reading() as session:
            found = await hidden_by_agency(session, now=now)
        return json_answer(
            {
                "at": now.isoformat(),
                "total": sum(one.uses for one in found),
                "agencies": [_hidden_json(one) for one in found],
            }
        )


def _add_reconciliation(made: APIRouter, ports: ApiPorts) -> None:
    moment = {"type": "string", "format": "date-time"}
    parameters = [
        {"name": name, "in": "query", "required": False, "schema": moment, "example": example}
        for name, example in (("since", "2026-10-24T00:00:00Z"), ("until", "2026-11-23T00:00:00Z"))
    ]

    @made.get(
        "/reconciliation",
        summary="What could have been given, and what was reported",
        operation_id="reconcile",
        response_model=ReconciliationAnswer,
        openapi_extra={**needs(AUDIT), "parameters": parameters},
    )
    async def reconciliation(request: Request) -> Response:
        caller = await ports.caller(request, AUDIT)
        period = _period(request, ports.clock())
        async with ports.reading() as session:
            found = await reconcile(session, period, agency_id=caller.agency_id)
            agency = await session.get_one(Agency, caller.agency_id)
        return json_answer(_reconciled_json(found[0] if found else _nothing(agency), period))


def _idempotency_key(request: Request) -> str:
    sent = request.headers.getlist("idempotency-key")
    quoted = _QUOTED.fullmatch(sent[0]) if len(sent) == 1 else None
    key = quoted.group(1) if quoted is not None else "".join(sent[:1])
    if len(sent) != 1 or _KEY.fullmatch(key) is None:
        raise ApiRefusal(400, "invalid_request", "send one Idempotency-Key of 1 to 200 printable characters")
    return key


async def _read(request: Request, model: type[Model]) -> tuple[Model, bytes]:
    """What was sent, and its SHA-256. Error: `ApiRefusal` 400, which never repeats a value: it may be somebody's."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiRefusal(400, "invalid_request", "send the body as application/json")
    try:
        members = strict_json_loads(await request.body(), max_bytes=MAX_BYTES)
        digest = sha256(canonical_json(members))
    except MalformedEncoding:
        raise ApiRefusal(400, "invalid_request", "the body is not JSON") from None
    try:
        return model.model_validate(members), digest
    except ValidationError as wrong:
        fault = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise ApiRefusal(400, "invalid_request", f"{where}: {fault['msg']}" if where else fault["msg"]) from None


def _period(request: Request, now: datetime) -> Period:
    usual = usual_period(now)
    asked = dict(request.query_params.multi_items())
    if len(asked) != len(request.query_params.multi_items()) or asked.keys() - {"since", "until"}:
        raise ApiRefusal(400, "invalid_request", "the parameters are since and until, each once")
    until = _moment(asked["until"]) if "until" in asked else usual.until
    since = _moment(asked["since"]) if "since" in asked else until - (usual.until - usual.since)
    if not timedelta(0) < until - since <= _LONGEST_PERIOD:
        raise ApiRefusal(400, "invalid_request", "since is before until, by 92 days at most")
    return Period(since=since, until=until)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ApiRefusal(400, "invalid_request", "a moment is written as 2026-11-24T00:00:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ApiRefusal(400, "invalid_request", "that moment is too far away") from None


def _in_order(results: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    # A database gives the members of what it kept in an order of its own; the same answer is the same text.
    return [{name: one[name] for name in UseResult.model_fields if name in one} for one in results]


def _hidden_json(one: Hidden) -> Mapping[str, Any]:
    last = one.last_at.isoformat() if one.last_at is not None else None
    return {"agency": one.agency_code, "uses": one.uses, "last_visible_from": last}


def _nothing(agency: Agency) -> Reconciled:
    return Reconciled(
        agency_id=agency.id,
        agency_code=agency.code,
        agency_names=agency.names,
        tokens=0,
        checks=0,
        answered=0,
        reported=0,
        without_basis=0,
    )


def _reconciled_json(one: Reconciled, period: Period) -> Mapping[str, Any]:
    return {
        "agency": one.agency_code,
        "since": period.since.isoformat(),
        "until": period.until.isoformat(),
        "tokens": one.tokens,
        "checks": one.checks,
        "answered": one.answered,
        "gap": one.gap,
        "reported": one.reported,
        "without_basis": one.without_basis,
    }
