"""The `audit` part: an agency's auditor reads every record and data agreement, with the signatures over them.

Spec: GovStack Consent Building Block API 1.1 (`/audit/…`).
"""

from fastapi import APIRouter
from starlette.requests import Request

from consent.govstack import reading
from consent.http.govstack.access import Id, Limit, Offset, audits
from consent.http.govstack.answers import ConsentRecords, DataAgreements, OnlyConsentRecord, OnlyDataAgreement
from consent.http.govstack.objects import data_agreement_object, event_revision, signature_object
from consent.http.govstack.ports import GovStackPorts
from consent.http.govstack.service import list_records, record_of
from keys.encoding import canonical_json

TYP = "consent-record+jwt"
ALG = "ES256"


def router(ports: GovStackPorts) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/audit", tags=["audit"])

    @routes.get("/consent-records/", operation_id="auditConsentRecordList")
    async def records(
        request: Request,
        individualId: Id | None = None,
        dataAgreementId: Id | None = None,
        offset: Offset = 0,
        limit: Limit = 100,
    ) -> ConsentRecords:
        """Every record of the agency's, whatever became of it, newest first."""
        caller = await audits(ports, request)
        wanted = reading.RecordFilter(agency_id=caller.agency_id, individual=individualId, purpose_id=dataAgreementId)
        return await list_records(ports, wanted, offset=offset, limit=limit)

    @routes.get("/consent-record/{consentRecordId}/", operation_id="auditConsentRecordRead")
    async def record(request: Request, consentRecordId: str) -> OnlyConsentRecord:
        """One record, with its last revision and our signature over that."""
        caller = await audits(ports, request)
        async with ports.reading() as session:
            summary, events = await reading.record(session, consentRecordId, agency_id=caller.agency_id)
            said = await record_of(ports, session, summary)
        last = events[-1]
        claims = {
            "iss": ports.issuer,
            "iat": int(ports.clock().timestamp()),
            "jti": last.id,
            "serializedHash": last.hash.hex(),
            "event": last.as_json(),
        }
        jws = await ports.sign(claims, typ=TYP, alg=ALG)
        signature = signature_object(
            last, jws, signed_by=f"{ports.issuer}/jwks", payload=canonical_json(claims).decode()
        )
        signed = said.model_copy(update={"dataAgreementRevision": event_revision(last), "signature": signature})
        return OnlyConsentRecord(consentRecord=signed)

    @routes.get("/data-agreements/", operation_id="auditDataAgreementList")
    async def agreements(request: Request, offset: Offset = 0, limit: Limit = 100) -> DataAgreements:
        """The agency's purposes, at their newest versions."""
        caller = await audits(ports, request)
        async with ports.reading() as session:
            views = await reading.data_agreements(session, agency_id=caller.agency_id, offset=offset, limit=limit)
        return DataAgreements(dataAgreements=[data_agreement_object(view) for view in views])

    @routes.get("/data-agreement/{dataAgreementId}/", operation_id="auditDataAgreementRead")
    async def agreement(request: Request, dataAgreementId: str) -> OnlyDataAgreement:
        """One purpose."""
        caller = await audits(ports, request)
        async with ports.reading() as session:
            view = await reading.data_agreement(session, dataAgreementId, agency_id=caller.agency_id)
        return OnlyDataAgreement(dataAgreement=data_agreement_object(view))

    return routes
