"""A person's records in the `service` part: read, asked for, taken back.

What the standard lets an app do in a person's place, this service leaves to the person: a consent is given on its own
page, and so signed by it. Everything else is as the standard says; docs/divergences.md has the list.
Spec: GovStack Consent Building Block API 1.1 (`/service/individual/record/…`).
"""

from typing import Final

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from consent.decisions import withdraw
from consent.govstack import reading
from consent.history import ConsentSummary
from consent.http.api.ports import ApiCaller, ApiRefusal
from consent.http.govstack.access import Id, Limit, Offset, actor, serves
from consent.http.govstack.answers import (
    ConsentRecordAndRevision,
    ConsentRecordAndSignature,
    ConsentRecordBody,
    ConsentRecords,
    ConsentRecordSigned,
    OnlyConsentRecord,
    SignatureBody,
)
from consent.http.govstack.asking import ask_person, draft_record
from consent.http.govstack.individuals import known_individual
from consent.http.govstack.ports import GovStackPorts
from consent.http.govstack.service import decide_at, list_records, record_and_revision
from consent.statuses import CURRENT

ONLY_BY_THE_PERSON: Final = (
    "a consent is given and signed by the person, on this service's own page; "
    "create the record without a signature and send the person to its decideAt"
)


def router(ports: GovStackPorts) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/service", tags=["service"])
    _reading(routes, ports)
    _asking(routes, ports)
    _taking_back(routes, ports)
    _person_only(routes, ports)
    return routes


def _reading(routes: APIRouter, ports: GovStackPorts) -> None:
    prefix = "/individual/record"

    @routes.get(f"{prefix}/data-agreement/{{dataAgreementId}}/", operation_id="serviceIndividualConsentRecordRead")
    async def newest(request: Request, dataAgreementId: str, individualId: Id) -> OnlyConsentRecord:
        """The newest record of a person for a data agreement."""
        caller = await serves(ports, request)
        wanted = reading.RecordFilter(agency_id=caller.agency_id, individual=individualId, purpose_id=dataAgreementId)
        found = await list_records(ports, wanted, offset=0, limit=1)
        if not found.consentRecords:
            raise ApiRefusal(400, "invalid_request", "there is no such consent record")
        return OnlyConsentRecord(consentRecord=found.consentRecords[0])

    @routes.get(
        f"{prefix}/data-agreement/{{dataAgreementId}}/all/",
        operation_id="serviceIndividualDataAgreementConsentRecordList",
    )
    async def every_of(
        request: Request, dataAgreementId: str, individualId: Id, offset: Offset = 0, limit: Limit = 100
    ) -> ConsentRecords:
        """Every record of a person for a data agreement, newest first."""
        caller = await serves(ports, request)
        wanted = reading.RecordFilter(agency_id=caller.agency_id, individual=individualId, purpose_id=dataAgreementId)
        return await list_records(ports, wanted, offset=offset, limit=limit)

    @routes.get(f"{prefix}/consent-record/", operation_id="serviceIndividualConsentRecordList")
    async def every(request: Request, individualId: Id, offset: Offset = 0, limit: Limit = 100) -> ConsentRecords:
        """Every record of a person with the agency, newest first."""
        caller = await serves(ports, request)
        wanted = reading.RecordFilter(agency_id=caller.agency_id, individual=individualId)
        return await list_records(ports, wanted, offset=offset, limit=limit)


def _asking(routes: APIRouter, ports: GovStackPorts) -> None:
    prefix = "/individual/record"

    @routes.post(f"{prefix}/data-agreement/{{dataAgreementId}}/", operation_id="serviceIndividualConsentRecordCreate")
    async def create(
        request: Request, dataAgreementId: str, individualId: Id, revisionId: Id | None = None
    ) -> ConsentRecordAndRevision:
        """Asks a person: an unsigned record, and the address where they decide."""
        caller = await serves(ports, request)
        async with ports.transaction() as session:
            subject_id = await known_individual(session, individualId, agency_id=caller.agency_id)
            version = await reading.data_agreement(
                session, dataAgreementId, agency_id=caller.agency_id, revision_id=revisionId
            )
            record_id = await ask_person(
                ports, session, caller, version, subject_id=subject_id, subject_ref=individualId
            )
            summary, events = await reading.record(session, record_id, agency_id=caller.agency_id)
            return await record_and_revision(ports, session, summary, events)

    @routes.post(f"{prefix}/consent-record/draft/", operation_id="serviceIndividualConsentRecordDraftCreate")
    async def draft(
        request: Request, individualId: Id, dataAgreementId: Id, revisionId: Id | None = None
    ) -> ConsentRecordAndSignature:
        """What would be asked, without an id: nothing is written."""
        caller = await serves(ports, request)
        async with ports.reading() as session:
            await known_individual(session, individualId, agency_id=caller.agency_id)
            version = await reading.data_agreement(
                session, dataAgreementId, agency_id=caller.agency_id, revision_id=revisionId
            )
        return draft_record(version, individualId, decide_at=decide_at(ports))


def _taking_back(routes: APIRouter, ports: GovStackPorts) -> None:
    prefix = "/individual/record"

    @routes.put(f"{prefix}/consent-record/{{consentRecordId}}/", operation_id="serviceIndividualConsentRecordUpdate")
    async def update(request: Request, consentRecordId: str, body: ConsentRecordBody) -> ConsentRecordAndRevision:
        """Takes a consent back for the person (`optIn` false). Giving one is the person's alone."""
        caller = await serves(ports, request)
        async with ports.transaction() as session:
            summary, events = await reading.record(session, consentRecordId, agency_id=caller.agency_id)
            if body.consentRecord.optIn and summary.status not in CURRENT:
                raise ApiRefusal(400, "invalid_request", ONLY_BY_THE_PERSON)
            if not body.consentRecord.optIn and summary.status in CURRENT:
                await _take_back(ports, session, caller, summary)
                summary, events = await reading.record(session, consentRecordId, agency_id=caller.agency_id)
            return await record_and_revision(ports, session, summary, events)

    @routes.delete(f"{prefix}/", operation_id="serviceIndividualConsentRecordDeleteAll")
    async def forget(request: Request, individualId: Id) -> Response:
        """Takes back every consent of a person with the agency. The evidence stays until its retention is over."""
        caller = await serves(ports, request)
        async with ports.transaction() as session:
            await known_individual(session, individualId, agency_id=caller.agency_id)
            wanted = reading.RecordFilter(agency_id=caller.agency_id, individual=individualId, statuses=CURRENT)
            for summary in await reading.records(session, wanted, limit=1000):
                if summary.legal_basis == "consent":
                    await _take_back(ports, session, caller, summary)
        return Response(status_code=200)


def _person_only(routes: APIRouter, ports: GovStackPorts) -> None:
    prefix = "/individual/record/consent-record"

    @routes.post(f"{prefix}/", operation_id="serviceIndividualConsentRecordSignatureCreate")
    async def create(request: Request, _body: ConsentRecordBody) -> ConsentRecordSigned:
        """Refused: only the person signs. See docs/divergences.md."""
        await serves(ports, request)
        raise ApiRefusal(400, "invalid_request", ONLY_BY_THE_PERSON)

    @routes.post(f"{prefix}/{{consentRecordId}}/signature/", operation_id="serviceIndividualSignatureCreate")
    async def sign(request: Request, consentRecordId: str, _body: SignatureBody) -> SignatureBody:  # noqa: ARG001 - the standard's path
        """Refused: only the person signs. See docs/divergences.md."""
        await serves(ports, request)
        raise ApiRefusal(400, "invalid_request", ONLY_BY_THE_PERSON)

    @routes.put(f"{prefix}/{{consentRecordId}}/signature/", operation_id="serviceIndividualSignatureUpdate")
    async def sign_again(request: Request, consentRecordId: str, _body: SignatureBody) -> SignatureBody:  # noqa: ARG001 - the standard's path
        """Refused: only the person signs. See docs/divergences.md."""
        await serves(ports, request)
        raise ApiRefusal(400, "invalid_request", ONLY_BY_THE_PERSON)


async def _take_back(ports: GovStackPorts, session: AsyncSession, caller: ApiCaller, summary: ConsentSummary) -> None:
    now = ports.clock()
    await withdraw(
        session,
        consent_id=summary.id,
        subject_id=summary.subject_id,
        actor=actor(caller),
        channel="api",
        reason="the person asked the agency",
        now=now,
        entropy=ports.entropy,
    )
    await ports.after_withdrawal(session, summary.id, now)
