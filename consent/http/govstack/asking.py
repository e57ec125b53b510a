"""Asking a person through the API: the record that waits for them, and the draft of it."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions import Decision, request
from consent.errors import DecisionRefused
from consent.http.api.ports import ApiCaller, ApiRefusal
from consent.http.govstack.answers import ConsentRecordAndSignature
from consent.http.govstack.objects import data_agreement_object, individual_object, snapshot_of
from consent.http.govstack.ports import GovStackPorts
from consent.http.govstack.schemas import ConsentRecord, Signature
from consent.notice import compose
from consent.purposes import PurposeVersionView

LANGUAGE: Final = "id"


async def ask_person(
    ports: GovStackPorts,
    session: AsyncSession,
    caller: ApiCaller,
    version: PurposeVersionView,
    *,
    subject_id: str,
    subject_ref: str,
) -> str:
    """Writes that the person is asked what the version says. Returns the record's id. Error: `ApiRefusal`."""
    if version.status != "active":
        raise ApiRefusal(400, "invalid_request", "the data agreement is not active")
    app = await ports.app(caller.client_id, LANGUAGE)
    notice = compose(
        version,
        client_id=caller.client_id,
        client_name=app.name,
        client_is_verified=app.is_verified,
        language=LANGUAGE,
        asked=version.claims,
        offline_access=False,
    )
    who = Decision(
        subject_id=subject_id,
        subject_ref=subject_ref,
        client_id=caller.client_id,
        agency_id=version.agency_id,
        purpose_id=version.purpose_id,
        purpose_version_id=version.id,
        language=LANGUAGE,
        channel="api",
        actor=f"client:{caller.client_id}",
    )
    try:
        return await request(session, who=who, notice=notice, now=ports.clock(), entropy=ports.entropy)
    except DecisionRefused as refused:
        raise ApiRefusal(400, "invalid_request", refused.why) from None


def draft_record(version: PurposeVersionView, subject_ref: str, *, decide_at: str) -> ConsentRecordAndSignature:
    """The record as it would be, and the signature that it lacks."""
    record = ConsentRecord(
        dataAgreement=data_agreement_object(version),
        dataAgreementRevisionHash=version.digest.hex(),
        individual=individual_object(subject_ref),
        optIn=False,
        state="unsigned",
        decideAt=decide_at,
    )
    serialized, digest = snapshot_of(record.model_dump(exclude_none=True))
    signature = Signature(verificationPayload=serialized, verificationPayloadHash=digest)
    return ConsentRecordAndSignature(consentRecord=record, signature=signature)
