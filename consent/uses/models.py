"""The record of data use: who received what of whom, when, and on what basis."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from consent.models import Base
from keys.columns import Id, Json, UtcDateTime


class Use(Base):
    """One disclosure: seen by the provider itself (`observed`), or told by the agency that gave the data (`reported`).

    `agency_id` received; `provider_agency_id` gave, None being Satu Pintu itself. `body`, sealed under the person's
    key, says which items, on what citation, by which token, system or officer, and from when on it was to be seen.
    `visible_from` is when the person sees it, None being at once: the projection of the report and of its renewals
    (`UseDelay`). `legal_basis` is `consent`, or the basis that needs none.
    """

    __tablename__ = "consent_uses"
    __table_args__ = (
        CheckConstraint("evidence IN ('observed', 'reported')", name="evidence"),
        UniqueConstraint("provider_agency_id", "reference"),
        Index("ix_consent_uses_subject_at", "subject_id", "at", "id"),
        Index("ix_consent_uses_agency_at", "agency_id", "at", "id"),
        Index("ix_consent_uses_client_at", "client_id", "at", "id"),
        Index("ix_consent_uses_visible_from", "visible_from"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    subject_id: Mapped[str] = mapped_column(Id)
    consent_id: Mapped[str | None] = mapped_column(Id, index=True)
    purpose_version_id: Mapped[str | None] = mapped_column(Id)
    agency_id: Mapped[str] = mapped_column(Id)
    client_id: Mapped[str | None] = mapped_column(String(200))
    provider_agency_id: Mapped[str | None] = mapped_column(Id)
    evidence: Mapped[str] = mapped_column(String(20))
    action: Mapped[str] = mapped_column(String(40))
    legal_basis: Mapped[str] = mapped_column(String(40))
    visible_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    delay_basis: Mapped[str | None] = mapped_column(String(500))
    batch_id: Mapped[str | None] = mapped_column(Id, ForeignKey("consent_use_batches.id"), index=True)
    reference: Mapped[str | None] = mapped_column(String(200))
    body: Mapped[bytes] = mapped_column(LargeBinary)


class UseBatch(Base):
    """A batch of uses that an agency reported. The same `idempotency_key` again is the same batch."""

    __tablename__ = "consent_use_batches"
    __table_args__ = (UniqueConstraint("agency_id", "idempotency_key"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    agency_id: Mapped[str] = mapped_column(Id)
    client_id: Mapped[str] = mapped_column(String(200))
    idempotency_key: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    accepted: Mapped[int] = mapped_column(Integer)
    answer: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class UseDelay(Base):
    """That a use is to stay unseen for longer: a new act, with a basis and a date of its own, and a leaf of its own.

    `body`, sealed under the person's key, has the basis and who asked for it.
    """

    __tablename__ = "consent_use_delays"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    use_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_uses.id"), index=True)
    subject_id: Mapped[str] = mapped_column(Id, index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    visible_from: Mapped[datetime] = mapped_column(UtcDateTime)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class ExpectedUse(Base):
    """That an agency may have disclosed something: a token went out for its API, or it asked and was told yes.

    What the agency reports is held against these. `reference` is the token's `jti`, or the check's id; `reported_at`
    is set when a report names it. Kept for `reconciliation.KEEP`, and then deleted.
    """

    __tablename__ = "consent_expected_uses"
    __table_args__ = (
        CheckConstraint("kind IN ('token', 'check')", name="kind"),
        Index("ix_consent_expected_uses_provider_at", "provider_agency_id", "at"),
        Index("ix_consent_expected_uses_at", "at"),
    )

    reference: Mapped[str] = mapped_column(String(64), primary_key=True)
    provider_agency_id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    agency_id: Mapped[str] = mapped_column(Id)
    client_id: Mapped[str] = mapped_column(String(200))
    consent_id: Mapped[str | None] = mapped_column(Id)
    reported_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
