"""What the registry keeps besides agencies and purposes: agreements, and what happened to each registered thing."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from consent.models import Base
from keys.columns import Id, Json, UtcDateTime


class Agreement(Base):
    """That one agency may give data to another, for one purpose of the other. What it says lives in its versions."""

    __tablename__ = "consent_agreements"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    provider_agency_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_agencies.id"), index=True)
    recipient_agency_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_agencies.id"), index=True)
    purpose_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_purposes.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AgreementVersion(Base):
    """One immutable version of an agreement.

    `instrument` is `{"kind", "number", "title", "date", "url"}`: the document that both signed. `items` are the data
    items that may flow; `use_limit` uses in `use_window_days` days at most (None: no limit); the recipient may keep
    the data for `data_life_days`. `status` is the projection of the version's registry events.
    """

    __tablename__ = "consent_agreement_versions"
    __table_args__ = (
        UniqueConstraint("agreement_id", "version"),
        CheckConstraint("status IN ('proposed', 'active', 'superseded', 'rejected', 'ended')", name="status"),
        CheckConstraint("fetch_type IN ('onetime', 'periodic')", name="fetch_type"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    agreement_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_agreements.id"), index=True)
    version: Mapped[int] = mapped_column(Integer)
    instrument: Mapped[dict[str, Any]] = mapped_column(Json)
    items: Mapped[list[str]] = mapped_column(Json)
    valid_from: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_until: Mapped[datetime] = mapped_column(UtcDateTime)
    fetch_type: Mapped[str] = mapped_column(String(20))
    use_limit: Mapped[int | None] = mapped_column(Integer)
    use_window_days: Mapped[int | None] = mapped_column(Integer)
    data_life_days: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(20))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(200))


class RegistryEvent(Base):
    """Something that happened to a registered thing: proposed, reviewed, approved, activated, ended, suspended.

    Append-only; each carries the hash of the one before of the same thing. The statuses of versions and agencies are
    the projection of these.
    """

    __tablename__ = "consent_registry_events"
    __table_args__ = (
        UniqueConstraint("object_id", "seq"),
        CheckConstraint(
            "object_kind IN ('agency', 'attribute', 'purpose_version', 'agreement_version')", name="object_kind"
        ),
        Index("ix_consent_registry_events_at", "at", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    object_kind: Mapped[str] = mapped_column(String(20))
    object_id: Mapped[str] = mapped_column(String(200))
    seq: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(200))
    detail: Mapped[dict[str, Any]] = mapped_column(Json)
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
