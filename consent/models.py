"""The registry (agencies, purposes and their versions) and the records (consents and their events).

Versions, shown texts and events are append-only: nothing here updates or deletes one. A consent's row is a projection
of its events. People and apps are known by opaque ids; there is no foreign key to them, for evidence outlives accounts.
"""

from datetime import datetime
from typing import Any

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
    status: Mapped[str] = mapped_column(String(20), default="active")
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
    """

    __tablename__ = "consent_purpose_versions"
    __table_args__ = (
        UniqueConstraint("purpose_id", "version"),
        CheckConstraint(
            "legal_basis IN ('consent', 'contract', 'legal_obligation', 'vital_interest', 'public_task', "
            "'legitimate_interest')",
            name="legal_basis",
        ),
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


class ConsentRecord(Base):
    """What one person decided about one app's one purpose, at one version: the projection of its events.

    At most one record of a (subject, client, purpose) is `given`. `granted` and `refused` list data items.
    """

    __tablename__ = "consent_records"
    __table_args__ = (
        CheckConstraint("status IN ('given', 'refused', 'withdrawn', 'expired', 'superseded')", name="status"),
        Index(
            "uq_consent_records_given",
            "subject_id",
            "client_id",
            "purpose_id",
            unique=True,
            postgresql_where=text("status = 'given'"),
            sqlite_where=text("status = 'given'"),
        ),
        Index(
            "ix_consent_records_due",
            "valid_until",
            postgresql_where=text("status = 'given'"),
            sqlite_where=text("status = 'given'"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    subject_id: Mapped[str] = mapped_column(Id, index=True)
    client_id: Mapped[str] = mapped_column(String(200))
    agency_id: Mapped[str] = mapped_column(Id)
    purpose_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_purposes.id"))
    purpose_version_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_purpose_versions.id"))
    status: Mapped[str] = mapped_column(String(20))
    granted: Mapped[list[str]] = mapped_column(Json)
    refused: Mapped[list[str]] = mapped_column(Json)
    offline_access: Mapped[bool] = mapped_column(Boolean)
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_seq: Mapped[int] = mapped_column(Integer)


class ConsentEvent(Base):
    """Something that happened to a consent. Append-only; each event carries the hash of the one before."""

    __tablename__ = "consent_events"
    __table_args__ = (
        UniqueConstraint("consent_id", "seq"),
        CheckConstraint("kind IN ('granted', 'refused', 'withdrawn', 'expired', 'superseded')", name="kind"),
        Index("ix_consent_events_at", "at", "id"),
        Index("ix_consent_events_agency_at", "agency_id", "at", "id"),
        Index("ix_consent_events_subject_at", "subject_id", "at", "id"),
        Index("ix_consent_events_purpose_at", "purpose_id", "at", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    consent_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_records.id"))
    seq: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(100))
    subject_id: Mapped[str] = mapped_column(Id)
    client_id: Mapped[str] = mapped_column(String(200))
    agency_id: Mapped[str] = mapped_column(Id)
    purpose_id: Mapped[str] = mapped_column(Id)
    purpose_version_id: Mapped[str] = mapped_column(Id)
    granted: Mapped[list[str]] = mapped_column(Json)
    refused: Mapped[list[str]] = mapped_column(Json)
    offline_access: Mapped[bool] = mapped_column(Boolean)
    valid_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    language: Mapped[str | None] = mapped_column(String(20))
    text_sha256: Mapped[bytes | None] = mapped_column(LargeBinary(32), ForeignKey("consent_shown_texts.sha256"))
    channel: Mapped[str] = mapped_column(String(40))
    acr: Mapped[str | None] = mapped_column(String(100))
    reason: Mapped[str | None] = mapped_column(String(500))
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class OfficerAction(Base):
    """A privacy officer looked: at which list, with which filters, at which consent, or took an export away."""

    __tablename__ = "consent_officer_actions"
    __table_args__ = (CheckConstraint("action IN ('list', 'open', 'export')", name="action"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    officer_id: Mapped[str] = mapped_column(Id)
    action: Mapped[str] = mapped_column(String(20))
    consent_id: Mapped[str | None] = mapped_column(Id)
    filters: Mapped[dict[str, Any]] = mapped_column(Json)
    rows: Mapped[int] = mapped_column(Integer)
