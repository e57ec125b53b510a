"""What an app may read in the `service` part: data agreements, policies, and whether consents stand.

Spec: GovStack Consent Building Block API 1.1 (`/service/…`).
"""

from collections.abc import Sequence

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from consent.events import Event
from consent.govstack import policies, reading
from consent.history import ConsentSummary
from consent.http.govstack.access import Id, Limit, Offset, serves
from consent.http.govstack.answers import (
    ConsentRecordAndRevision,
    ConsentRecords,
    DataAgreementAndRevision,
    DataAgreements,
    PolicyAndRevision,
)
from consent.http.govstack.objects import (
    consent_record_object,
    data_agreement_object,
    data_agreement_revision,
    event_revision,
    policy_object,
    policy_revision,
)
from consent.http.govstack.ports import GovStackPorts
from consent.http.govstack.schemas import ConsentRecord
from consent.purposes import PurposeVersionView, purpose_version
from consent.statuses import CURRENT


def router(ports: GovStackPorts) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/service", tags=["service"])
    _agreements(routes, ports)
    _verification(routes, ports)
    return routes


def _agreements(routes: APIRouter, ports: GovStackPorts) -> None:
    @routes.get("/data-agreement/{dataAgreementId}/", operation_id="serviceDataAgreementRead")
    async def agreement(request: Request, dataAgreementId: str) -> DataAgreementAndRevision:
        """Reads a purpose of the agency's."""
        caller = await serves(ports, request)
        async with ports.reading() as session:
            version = await reading.data_agreement(session, dataAgreementId, agency_id=caller.agency_id)
            predecessor = await reading.predecessor_of(session, version)
        return DataAgreementAndRevision(
            dataAgreement=data_agreement_object(version), revision=data_agreement_revision(version, predecessor)
        )

    @routes.get("/policy/{policyId}/", operation_id="servicePolicyRead")
    async def policy(request: Request, policyId: str, revisionId: str | None = None) -> PolicyAndRevision:
        """Reads a policy of the agency's."""
        caller = await serves(ports, request)
        async with ports.reading() as session:
            view = await policies.policy(session, policyId, agency_id=caller.agency_id, revision_id=revisionId)
        return PolicyAndRevision(policy=policy_object(view), revision=policy_revision(view))

    @routes.get("/verification/data-agreements/", operation_id="serviceVerificationDataAgreementList")
    async def every(request: Request, offset: Offset = 0, limit: Limit = 100) -> DataAgreements:
        """The agency's purposes in force."""
        caller = await serves(ports, request)
        async with ports.reading() as session:
            views = await reading.data_agreements(
                session, agency_id=caller.agency_id, offset=offset, limit=limit, active=True
            )
        return DataAgreements(dataAgreements=[data_agreement_object(view) for view in views])


def _verification(routes: APIRouter, ports: GovStackPorts) -> None:
    @routes.get("/verification/consent-records/", operation_id="serviceVerificationConsentRecordList")
    async def every(
        request: Request,
        individualId: Id | None = None,
        dataAgreementId: Id | None = None,
        offset: Offset = 0,
        limit: Limit = 100,
    ) -> ConsentRecords:
        """Consents that stand, of one person or of all."""
        caller = await serves(ports, request)
        wanted = reading.RecordFilter(
            agency_id=caller.agency_id, individual=individualId, purpose_id=dataAgreementId, statuses=CURRENT
        )
        return await list_records(ports, wanted, offset=offset, limit=limit)

    @routes.get("/verification/consent-record/{consentRecordId}/", operation_id="serviceVerificationConsentRecordRead")
    async def one(request: Request, consentRecordId: str) -> ConsentRecordAndRevision:
        """One record with its last revision."""
        caller = await serves(ports, request)
        async with ports.reading() as session:
            summary, events = await reading.record(session, consentRecordId, agency_id=caller.agency_id)
            return await record_and_revision(ports, session, summary, events)


def decide_at(ports: GovStackPorts) -> str:
    """Where a person decides what they are asked."""
    return f"{ports.issuer}/my/consents"


async def list_records(
    ports: GovStackPorts, wanted: reading.RecordFilter, *, offset: int, limit: int
) -> ConsentRecords:
    """A page of records."""
    async with ports.reading() as session:
        found = await reading.records(session, wanted, offset=offset, limit=limit)
        versions = await _versions_of(session, found)
    return ConsentRecords(
        consentRecords=[
            consent_record_object(one, digest=versions[one.purpose_version_id].digest, decide_at=decide_at(ports))
            for one in found
        ]
    )


async def record_of(ports: GovStackPorts, session: AsyncSession, summary: ConsentSummary) -> ConsentRecord:
    """One record."""
    version = await purpose_version(session, summary.purpose_version_id)
    return consent_record_object(summary, digest=version.digest, decide_at=decide_at(ports))


async def record_and_revision(
    ports: GovStackPorts, session: AsyncSession, summary: ConsentSummary, events: Sequence[Event]
) -> ConsentRecordAndRevision:
    """One record with its last revision."""
    return ConsentRecordAndRevision(
        consentRecord=await record_of(ports, session, summary), revision=event_revision(events[-1])
    )


async def _versions_of(session: AsyncSession, found: Sequence[ConsentSummary]) -> dict[str, PurposeVersionView]:
    ids = sorted({one.purpose_version_id for one in found})
    return {version_id: await purpose_version(session, version_id) for version_id in ids}
