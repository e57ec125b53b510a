"""Purposes in force, by the real path: one invented person proposes, two others review and approve.

version = await active_purpose(session, agency_id=…, code=…, texts=…, …, now=…, entropy=…)
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from consent.models import Agency
from consent.purposes import PurposeVersionView
from consent.registry.agreement_versions import approve_agreement, propose_agreement
from consent.registry.agreements import AgreementVersionView
from consent.registry.mandatory import Candidate
from consent.registry.review import CODES, Review, examine
from consent.registry.versions import approve, propose_version
from keys.entropy import Entropy

PROPOSER: Final = "Wati, perancang layanan"
AGENCYS_REVIEWER: Final = "Tono, pejabat pelindungan data"
OPERATORS_REVIEWER: Final = "Ratna, Satu Pintu"

TERMS: Final[Mapping[str, Any]] = {
    "dpv_purpose_iri": "https://w3id.org/dpv#ServiceProvision",
    "processing": ["https://w3id.org/dpv#Collect", "https://w3id.org/dpv#Use", "https://w3id.org/dpv#Store"],
    "collection_method": {"id": "Dari akun Anda di Satu Pintu.", "en": "From your account at Satu Pintu."},
    "storage_locations": ["ID"],
    "processing_locations": ["ID"],
    "recipients": [],
    "withdrawal_method": {"id": "Di Satu Pintu, menu Persetujuan saya.", "en": "In Satu Pintu, under My consents."},
    "privacy_rights": ["information", "access", "correction", "erasure", "withdrawal"],
    "jurisdiction": "ID",
    "service": {"id": "Pelayanan", "en": "Service"},
}


def a_review(**changes: Any) -> Review:
    """A review that finds everything right."""
    answers: dict[str, Any] = {
        "confirmed": CODES,
        "public_task_applies": False,
        "public_task_reason": "No law obliges the agency to offer this.",
    }
    return Review(**{**answers, **changes})


async def review_of(session: AsyncSession, version: PurposeVersionView) -> Review:
    """The review that lets this version pass: warnings explained, the public task answered as the basis wants."""
    agency = await session.get(Agency, version.agency_id)
    assert agency is not None
    warned = examine(Candidate(version, agency)).warned
    return a_review(
        public_task_applies=version.legal_basis == "public_task",
        reasons=dict.fromkeys(warned, "It is plain in its context."),
    )


async def active_purpose(
    session: AsyncSession,
    *,
    agency_id: str,
    now: datetime,
    entropy: Entropy,
    created_by: str = PROPOSER,
    terms: Mapping[str, Any] | None = None,
    compatible_with: tuple[int, ...] = (),
    **says: Any,
) -> PurposeVersionView:
    """A version in force, in one transaction. `terms` are changes to `TERMS`; the rest is `propose_version`'s."""
    version = await propose_version(
        session,
        agency_id=agency_id,
        terms={**TERMS, **(terms or {})},
        compatible_with=compatible_with,
        proposed_by=created_by,
        now=now,
        entropy=entropy,
        **says,
    )
    return await approved(session, version, now=now, entropy=entropy)


async def approved(
    session: AsyncSession, version: PurposeVersionView, *, now: datetime, entropy: Entropy
) -> PurposeVersionView:
    """The proposed version, approved by both sides."""
    review = await review_of(session, version)
    for side, by in (("agency", AGENCYS_REVIEWER), ("operator", OPERATORS_REVIEWER)):
        version = await approve(session, version.id, side=side, by=by, review=review, now=now, entropy=entropy)
    assert version.status == "active"
    return version


async def active_agreement(
    session: AsyncSession,
    *,
    version: PurposeVersionView,
    provider_agency_id: str,
    now: datetime,
    entropy: Entropy,
    code: str = "perjanjian",
    **changes: Any,
) -> AgreementVersionView:
    """An agreement in force for all that a (proposed) purpose version asks of the provider."""
    says: dict[str, Any] = {
        "instrument": {
            "kind": "cooperation_agreement",
            "number": "PKS-7/2026",
            "title": "Perjanjian kerja sama pemanfaatan data",
            "date": "2026-01-05",
        },
        "items": sorted(version.sources[provider_agency_id]),
        "valid_from": now,
        "valid_until": now + timedelta(days=365),
        "data_life_days": version.retention_days,
    }
    agreement = await propose_agreement(
        session,
        code=code,
        provider_agency_id=provider_agency_id,
        purpose_code=version.code,
        proposed_by=PROPOSER,
        now=now,
        entropy=entropy,
        **{**says, **changes},
    )
    for side, by in (("provider", "Sari, pemilik data"), ("recipient", AGENCYS_REVIEWER)):
        agreement = await approve_agreement(session, agreement.id, side=side, by=by, now=now, entropy=entropy)
    assert agreement.status == "active"
    return agreement
