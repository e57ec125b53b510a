"""`/consent/v1/receipts`: the signed record of a consent, for the agency whose app it was given to.

The agency must be able to show that people agreed (UU PDP article 24), also when this provider is gone. It gets the
record, our signature and the log's proof; not the event's own content, which names the person by our id.
"""

import re
from typing import Any, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from consent.http.api.answers import NO_STORE, json_answer
from consent.http.api.document import needs, refusal
from consent.http.api.ports import ApiPorts, ApiRefusal
from consent.receipts.errors import NoReceipt
from consent.receipts.formats import FORMATS

SCOPE: Final = "consent:audit"
_MEMBERS: Final = frozenset({"event", "format"})
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


class SignedRecord(BaseModel):
    """The record as a JWS (`typ` `consent-receipt+jwt`), and the proof that the log has its commitment.

    `receipt` verifies by the keys of `/log/trust.json`; its claim `log.commitment`, with `kind`, is the leaf that
    `proof` (C2SP tlog-proof) leads from. `proof` is null until witnesses have seen it, seconds after the event.
    """

    format: Literal["satupintu-record/1"]
    receipt: str
    kind: int = Field(ge=1, le=8)
    proof: str | None


class OtherFormat(BaseModel):
    """The record in the format that was asked for."""

    model_config = {"extra": "allow"}


def router(ports: ApiPorts) -> APIRouter:
    """The operation, documented."""
    made = APIRouter(tags=["receipts"])
    parameters: list[dict[str, Any]] = [
        {
            "name": "event",
            "in": "query",
            "required": False,
            "description": "the number of the event; without it, the newest",
            "schema": {"type": "integer", "minimum": 1, "maximum": 999_999},
        },
        {
            "name": "format",
            "in": "query",
            "required": False,
            "description": "the record in another format, without signature and proof",
            "schema": {"type": "string", "enum": list(FORMATS)},
        },
    ]

    @made.get(
        "/receipts/{consent_id}",
        summary="The signed record of a consent given to an app of the caller's agency",
        operation_id="receipt",
        response_model=SignedRecord | OtherFormat,
        openapi_extra={**needs(SCOPE), "parameters": parameters},
        responses={
            200: {
                "description": "The signed record, or the record in another format.",
                "content": {"application/ld+json": {"schema": {"type": "object"}}},
            },
            404: refusal("No such consent of the caller's agency, no such event, or it was erased."),
        },
    )
    async def receipt(request: Request, consent_id: str) -> Response:
        caller = await ports.caller(request, SCOPE)
        seq, name = _asked(request)
        try:
            issued = await ports.receipts.issue(consent_id, seq, may=lambda event: event.agency_id == caller.agency_id)
        except NoReceipt:
            # The same for another agency's consent and for none.
            raise ApiRefusal(404, "not_found", "there is no such consent of your agency, or no such event") from None
        if name is None:
            return json_answer(issued.receipt.signed_record())
        chosen = FORMATS[name]
        answer = json_answer(chosen.export(issued.receipt.record))
        answer.headers.update({**NO_STORE, "Content-Type": chosen.media_type})
        return answer

    return made


def _asked(request: Request) -> tuple[int | None, str | None]:
    query = request.query_params
    if len(query.multi_items()) != len(query) or not query.keys() <= _MEMBERS:
        raise ApiRefusal(400, "invalid_request", "the parameters are event and format, each at most once")
    number, name = query.get("event"), query.get("format")
    if number is not None and not _NUMBER.fullmatch(number):
        raise ApiRefusal(400, "invalid_request", "event is the number of an event")
    if name is not None and name not in FORMATS:
        raise ApiRefusal(400, "invalid_request", f"format is one of {', '.join(FORMATS)}")
    return None if number is None else int(number), name
