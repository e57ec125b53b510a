"""Our rows in the standard's words: a purpose is a Data Agreement, its version a Revision, an event likewise."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from consent.attributes import Category
from consent.events import Event
from consent.govstack.policies import PolicyView
from consent.history import ConsentSummary
from consent.http.govstack.schemas import (
    ConsentRecord,
    Controller,
    DataAgreement,
    DataAgreementAttribute,
    Individual,
    Lifecycle,
    Policy,
    Revision,
    Signature,
)
from consent.purposes import PurposeVersionView
from consent.statuses import CURRENT
from keys.encoding import canonical_json

# The standard has two states of life; ours are told by the id.
_COMPLETE: Final = frozenset({"active", "superseded", "ended"})


def moment(at: datetime) -> str:
    """A moment, in UTC to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def snapshot_of(content: Mapping[str, Any]) -> tuple[str, str]:
    """A serialized snapshot and its SHA-256 in hex."""
    said = canonical_json(dict(content))
    return said.decode(), hashlib.sha256(said).hexdigest()


def policy_object(view: PolicyView) -> Policy:
    """A policy."""
    return Policy.model_validate({**view.content, "id": view.policy_id})


def policy_revision(view: PolicyView) -> Revision:
    """One revision of a policy."""
    serialized, digest = snapshot_of(view.snapshot())
    return Revision(
        id=view.id,
        schemaName="policy",
        objectId=view.policy_id,
        serializedSnapshot=serialized,
        serializedHash=digest,
        timestamp=moment(view.at),
        authorizedByOther=view.by,
        predecessorHash=view.previous_digest.hex() if view.previous_digest is not None else None,
    )


def data_agreement_object(version: PurposeVersionView) -> DataAgreement:
    """A purpose at one version."""
    assessment = version.terms.impact_assessment
    attributes = []
    for item in version.items:
        data_item = version.item(item.claim)
        attributes.append(
            DataAgreementAttribute(
                id=item.claim,
                name=data_item.label("en"),
                sensitivity="specific" if data_item.category == Category.SPECIFIC else "general",
                category=data_item.dpv_iri or "",
            )
        )
    return DataAgreement(
        id=version.purpose_id,
        version=str(version.version),
        controller=Controller(id=version.agency_id, name=version.agency_names["en"], url=""),
        purpose=version.texts["en"]["name"],
        lawfulBasis=version.legal_basis,
        dataUse="data_using_service",
        dpia=assessment.url if assessment is not None else "",
        active=version.status == "active",
        forgettable=False,
        lifecycle=Lifecycle(id=version.status, name="Complete" if version.status in _COMPLETE else "Draft"),
        dataAttributes=attributes,
        specification=version.as_draft().as_json(),
    )


def data_agreement_revision(version: PurposeVersionView, predecessor: bytes | None) -> Revision:
    """A version as a revision: its hash is the digest that consents are pinned to."""
    serialized, _ = snapshot_of({"agency_id": version.agency_id, **version.as_draft().as_json()})
    return Revision(
        id=version.id,
        schemaName="dataAgreement",
        objectId=version.purpose_id,
        serializedSnapshot=serialized,
        serializedHash=version.digest.hex(),
        timestamp=moment(version.created_at),
        authorizedByOther=version.created_by,
        predecessorHash=predecessor.hex() if predecessor is not None else None,
    )


def individual_object(subject_ref: str) -> Individual:
    """A person, by the `sub` that the agency's apps get."""
    return Individual(id=subject_ref, externalId=subject_ref, externalIdType="sub", identityProviderId="satupintu")


def consent_record_object(summary: ConsentSummary, *, digest: bytes, decide_at: str | None) -> ConsentRecord:
    """A record. `digest` is that of the purpose version; `decide_at` where the person decides what is still open."""
    unsigned = summary.status == "requested"
    return ConsentRecord(
        id=summary.id,
        dataAgreement=DataAgreement(
            id=summary.purpose_id,
            version=str(summary.purpose_version),
            purpose=summary.texts["en"]["name"],
            lawfulBasis=summary.legal_basis,
        ),
        dataAgreementRevisionHash=digest.hex(),
        individual=individual_object(summary.subject_ref) if summary.subject_ref is not None else None,
        optIn=summary.status in CURRENT,
        state="unsigned" if unsigned else "signed",
        decideAt=decide_at if unsigned else None,
    )


def event_revision(event: Event) -> Revision:
    """An event as a revision of its record. Its hash is the commitment that the log has of it."""
    serialized = canonical_json(event.as_json()).decode()
    by_person = event.actor == "subject" and event.subject_ref is not None
    return Revision(
        id=event.id,
        schemaName="consentRecord",
        objectId=event.consent_id,
        serializedSnapshot=serialized,
        serializedHash=event.hash.hex(),
        timestamp=moment(event.at),
        authorizedByIndividual=individual_object(event.subject_ref or "") if by_person else None,
        authorizedByOther=None if by_person else event.actor,
        predecessorHash=event.previous_hash.hex() if event.seq > 1 else None,
    )


def signature_object(event: Event, jws: str, *, signed_by: str, payload: str) -> Signature:
    """Our signature over an event, as a compact JWS."""
    serialized, digest = snapshot_of(event.as_json())
    return Signature(
        id=event.id,
        payload=payload,
        signature=jws,
        verificationMethod="consent-record+jwt",
        verificationPayload=serialized,
        verificationPayloadHash=digest,
        verificationSignedBy=signed_by,
        verificationSignedAs="individual" if event.representative_id is None else "delegate",
        verificationJwsHeader=jws.partition(".")[0],
        timestamp=moment(event.at),
        objectType="revision",
        objectReference=event.id,
    )
