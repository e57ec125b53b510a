"""The registry (agencies, purposes and their versions) and the records (consents and their events).

Versions, shown texts and events are append-only: nothing here updates or deletes one. A consent's row is a projection
of its events. People and apps are known by opaque ids; there is no foreign key to them, for evidence outlives accounts.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from keys.columns import Id, Json, UtcDateTime
from keys.models import NAMING_CONVENTION


class Base(DeclarativeBase):
    """The tables of `consent`."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Agency(Base):
    """A ministry or regency: the controller that asks, and the sector within which a person has one `sub`."""

    __tablename__ = "consent_agencies"
    __table_args__ = (CheckConstraint("status IN ('active', 'suspended')", name="status"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    code: Mapped[str] = mapped_column(String(60), unique=True)
    names: Mapped[dict[str, str]] = mapped_column(Json)
    contact: Mapped[str] = mapped_column(String(300))
    privacy_contact: Mapped[str] = mapped_column(String(300))
    website: Mapped[str | None] = mapped_column(String(500))
    address: Mapped[str | None] = mapped_column(String(500))
    email: Mapped[str | None] = mapped_column(String(300))
    phone: Mapped[str | None] = mapped_column(String(50))
    party_type: Mapped[str] = mapped_column(String(40), default="government")
    status: Mapped[str] = mapped_column(String(20), default="active")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DataAttribute(Base):
    """A data item that an agency holds and others may ask for, besides those of `attributes.ITEMS`.

    `source_agency_id` is the agency that it comes from; `is_specific` is the law's "specific" data (UU PDP article 4).
    """

    __tablename__ = "consent_attributes"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    labels: Mapped[dict[str, str]] = mapped_column(Json)
    category: Mapped[str] = mapped_column(String(60))
    is_specific: Mapped[bool] = mapped_column(Boolean)
    dpv_iri: Mapped[str] = mapped_column(String(300))
    source_agency_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_agencies.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Purpose(Base):
    """Why data is asked for. What it says lives in its versions."""

    __tablename__ = "consent_purposes"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    agency_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_agencies.id"), index=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PurposeVersion(Base):
    """One immutable version of a purpose. Changing a word makes a new version.

    `texts` is `{language: {"name", "description", "refusal"}}`; `items` is an ordered list of
    `{"claim": str, "required": bool, "why": {language: str}}`. `digest` is the SHA-256 of the canonical JSON of all
    that it says.

    `terms` has the rest of what ISO/IEC TS 27560 and UU PDP article 21 want said (`consent.registry.terms`), and
    `compatible_with` the earlier versions (their numbers) whose consents hold for this one too. `status` is the
    projection of the version's registry events.
    """

    __tablename__ = "consent_purpose_versions"
    __table_args__ = (
        UniqueConstraint("purpose_id", "version"),
        CheckConstraint(
            "legal_basis IN ('consent', 'contract', 'legal_obligation', 'vital_interest', 'public_task', "
            "'legitimate_interest')",
            name="legal_basis",
        ),
        CheckConstraint("status IN ('draft', 'proposed', 'active', 'superseded', 'rejected', 'ended')", name="status"),
        CheckConstraint("fetch_type IN ('onetime', 'periodic')", name="fetch_type"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    purpose_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_purposes.id"), index=True)
    version: Mapped[int] = mapped_column(Integer)
    texts: Mapped[dict[str, dict[str, str]]] = mapped_column(Json)
    items: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    legal_basis: Mapped[str] = mapped_column(String(40))
    legal_citation: Mapped[str] = mapped_column(String(500))
    retention_days: Mapped[int] = mapped_column(Integer)
    validity_days: Mapped[int] = mapped_column(Integer)
    fetch_type: Mapped[str] = mapped_column(String(20), default="periodic")
    use_limit: Mapped[int | None] = mapped_column(Integer)
    use_window_days: Mapped[int | None] = mapped_column(Integer)
    terms: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    compatible_with: Mapped[list[int]] = mapped_column(Json, default=list)
    status: Mapped[str] = mapped_column(String(20))
    activated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(200))


class ShownText(Base):
    """The exact text that a person saw, in the language they saw it, by its SHA-256."""

    __tablename__ = "consent_shown_texts"

    sha256: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    language: Mapped[str] = mapped_column(String(20))
    body: Mapped[str] = mapped_column(Text)
    first_shown_at: Mapped[datetime] = mapped_column(UtcDateTime)


# The statuses of a consent that is in force or may come into force again: one at a time of one person, app and purpose.
_CURRENT: Final = "status IN ('given', 'renewed', 'paused')"
# What retention looks for; an erased record leaves these indexes.
_KEPT: Final = "erased_at IS NULL AND ended_at IS NOT NULL"
_KEPT_REFUSAL: Final = "erased_at IS NULL AND status = 'refused'"
_ASKED: Final = "erased_at IS NULL AND status = 'requested'"


class ConsentRecord(Base):
    """What one person decided about one app's one purpose, at one version: the projection of its events.

    At most one record of a (subject, client, purpose) is current. `granted` and `refused` list data items.
    `subject_ref` is the `sub` by which the app's agency knows the person. `use_limit` of None: as often as needed;
    otherwise `used` counts the uses since `window_started_at`. The mandate of `representative_id` is `mandate_id`.
    """

    __tablename__ = "consent_records"
    __table_args__ = (
        CheckConstraint(
            "status IN ('requested', 'given', 'renewed', 'paused', 'refused', 'withdrawn', 'expired', 'superseded', "
            "'revoked', 'invalidated', 'unknown')",
            name="status",
        ),
        CheckConstraint("fetch_type IN ('onetime', 'periodic')", name="fetch_type"),
        Index(
            "uq_consent_records_current",
            "subject_id",
            "client_id",
            "purpose_id",
            unique=True,
            postgresql_where=text(_CURRENT),
            sqlite_where=text(_CURRENT),
        ),
        Index("ix_consent_records_due", "valid_until", postgresql_where=text(_CURRENT), sqlite_where=text(_CURRENT)),
        Index(
            "ix_consent_records_ending",
            "purpose_version_id",
            "id",
            postgresql_where=text(_CURRENT),
            sqlite_where=text(_CURRENT),
        ),
        Index(
            "ix_consent_records_client",
            "client_id",
            "id",
            postgresql_where=text(_CURRENT),
            sqlite_where=text(_CURRENT),
        ),
        Index("ix_consent_records_subject_ref", "subject_ref", "client_id", "purpose_id"),
        Index("ix_consent_records_kept", "ended_at", postgresql_where=text(_KEPT), sqlite_where=text(_KEPT)),
        Index(
            "ix_consent_records_refused",
            "valid_until",
            postgresql_where=text(_KEPT_REFUSAL),
            sqlite_where=text(_KEPT_REFUSAL),
        ),
        Index("ix_consent_records_asked", "id", postgresql_where=text(_ASKED), sqlite_where=text(_ASKED)),
        Index(
            "ix_consent_records_representative_id",
            "representative_id",
            postgresql_where=text("representative_id IS NOT NULL"),
            sqlite_where=text("representative_id IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    subject_id: Mapped[str] = mapped_column(Id, index=True)
    subject_ref: Mapped[str | None] = mapped_column(String(255))
    client_id: Mapped[str] = mapped_column(String(200))
    agency_id: Mapped[str] = mapped_column(Id)
    purpose_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_purposes.id"))
    purpose_version_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_purpose_versions.id"))
    agreement_version_id: Mapped[str | None] = mapped_column(
        Id, ForeignKey("consent_agreement_versions.id"), index=True
    )
    status: Mapped[str] = mapped_column(String(20))
    granted: Mapped[list[str]] = mapped_column(Json)
    refused: Mapped[list[str]] = mapped_column(Json)
    offline_access: Mapped[bool] = mapped_column(Boolean)
    fetch_type: Mapped[str] = mapped_column(String(20), default="periodic")
    use_limit: Mapped[int | None] = mapped_column(Integer)
    use_window_days: Mapped[int | None] = mapped_column(Integer)
    used: Mapped[int] = mapped_column(Integer, default=0)
    window_started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    representative_id: Mapped[str | None] = mapped_column(Id)
    mandate_id: Mapped[str | None] = mapped_column(Id)
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_seq: Mapped[int] = mapped_column(Integer)
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ConsentEvent(Base):
    """Something that happened to a consent. Append-only; each event carries the hash of the one before.

    What it says of the person is in `body`, sealed under the person's key; the columns are what lists are filtered by.
    `hash` is the event's commitment: the leaf that the log has of it. Once the person is erased, `subject_id` names
    nobody, the body is noise, and the chain of hashes still holds.
    """

    __tablename__ = "consent_events"
    __table_args__ = (
        UniqueConstraint("consent_id", "seq"),
        CheckConstraint(
            "kind IN ('requested', 'granted', 'refused', 'renewed', 'changed', 'paused', 'resumed', 'withdrawn', "
            "'revoked', 'invalidated', 'expired', 'superseded')",
            name="kind",
        ),
        Index("ix_consent_events_at", "at", "id"),
        Index("ix_consent_events_agency_at", "agency_id", "at", "id"),
        Index("ix_consent_events_subject_at", "subject_id", "at", "id"),
        Index("ix_consent_events_purpose_at", "purpose_id", "at", "id"),
        Index(
            "ix_consent_events_text_sha256",
            "text_sha256",
            postgresql_where=text("text_sha256 IS NOT NULL"),
            sqlite_where=text("text_sha256 IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    consent_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_records.id"))
    seq: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    subject_id: Mapped[str] = mapped_column(Id)
    client_id: Mapped[str] = mapped_column(String(200))
    agency_id: Mapped[str] = mapped_column(Id)
    purpose_id: Mapped[str] = mapped_column(Id)
    purpose_version_id: Mapped[str] = mapped_column(Id)
    channel: Mapped[str] = mapped_column(String(40))
    language: Mapped[str | None] = mapped_column(String(20))
    text_sha256: Mapped[bytes | None] = mapped_column(LargeBinary(32), ForeignKey("consent_shown_texts.sha256"))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class OfficerAction(Base):
    """A privacy officer looked: at which list, with which filters, at which consent, or took an export away; or acted.

    `subject_id` is the person whom they looked for, where it was one person.
    """

    __tablename__ = "consent_officer_actions"
    __table_args__ = (
        CheckConstraint("action IN ('list', 'open', 'export', 'find', 'act')", name="action"),
        Index(
            "ix_consent_officer_actions_named",
            "at",
            postgresql_where=text("subject_id IS NOT NULL"),
            sqlite_where=text("subject_id IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    officer_id: Mapped[str] = mapped_column(Id)
    action: Mapped[str] = mapped_column(String(20))
    consent_id: Mapped[str | None] = mapped_column(Id)
    subject_id: Mapped[str | None] = mapped_column(Id, index=True)
    reason: Mapped[str | None] = mapped_column(String(500))
    filters: Mapped[dict[str, Any]] = mapped_column(Json)
    rows: Mapped[int] = mapped_column(Integer)
