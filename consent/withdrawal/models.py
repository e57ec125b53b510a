"""Who must be told that a consent ended, and what came of telling them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from consent.models import Base
from keys.columns import Id, Json, UtcDateTime

_OPEN = "closed_at IS NULL"
_CLOSED = "closed_at IS NOT NULL"
_CLOCK_RUNS = "stopped_at IS NULL AND closed_at IS NULL"
_UNSENT = "sent_at IS NULL AND closed_at IS NULL"
_MAY_LIE = "stopped_at IS NOT NULL AND contradicted_at IS NULL"


class Stream(Base):
    """Where an app, or an agency for all its systems, wants to be told: pushed to an endpoint, or polled.

    `authorization` is the header that the endpoint wants, sealed. At most one for each client, and one for each agency
    (`client_id` is empty) that provides data. An endpoint that fails `rests_until` then, longer after each of
    `failures` in a row, so that it holds up nobody else.
    Spec: RFC 8935; RFC 8936.
    """

    __tablename__ = "consent_streams"
    __table_args__ = (
        CheckConstraint("delivery IN ('push', 'poll')", name="delivery"),
        CheckConstraint("status IN ('enabled', 'paused')", name="status"),
        UniqueConstraint("agency_id", "client_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    agency_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_agencies.id"))
    client_id: Mapped[str] = mapped_column(String(200))
    delivery: Mapped[str] = mapped_column(String(10))
    endpoint: Mapped[str | None] = mapped_column(String(2000))
    authorization: Mapped[bytes | None] = mapped_column(LargeBinary)
    status: Mapped[str] = mapped_column(String(20))
    failures: Mapped[int] = mapped_column(Integer)
    rests_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Delivery(Base):
    """One recipient's duty to stop after one event, with its clock: the outbox, and what the person sees of it.

    `role` is `recipient` (the app that got the data) or `provider` (the agency that gave it, `client_id` empty).
    Written in the transaction that ended the consent; `kind` is that event's, `items` what may not flow any more.
    `claimed_until` is a sender's lease; a killed sender's row is free again after. `sent_at` is when the recipient had
    taken it. `awaits` is the last that it must attest; `closed_at`, when nothing more is expected. `contradicted_at` is
    when a use after `stopped_at` showed that it had not stopped, and `contradicted_by` that use; `compared_at` is when
    the uses were last looked through for one.
    """

    __tablename__ = "consent_deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "agency_id", "client_id", "role"),
        CheckConstraint("role IN ('recipient', 'provider')", name="role"),
        CheckConstraint("awaits IN ('acknowledged', 'stopped', 'erased')", name="awaits"),
        CheckConstraint("escalation IN ('none', 'amber', 'red', 'breach')", name="escalation"),
        Index(
            "ix_consent_deliveries_next",
            "next_attempt_at",
            postgresql_where=text("next_attempt_at IS NOT NULL"),
            sqlite_where=text("next_attempt_at IS NOT NULL"),
        ),
        Index("ix_consent_deliveries_open", "due_at", "id", postgresql_where=text(_OPEN), sqlite_where=text(_OPEN)),
        Index(
            "ix_consent_deliveries_closed",
            "closed_at",
            "id",
            postgresql_where=text(_CLOSED),
            sqlite_where=text(_CLOSED),
        ),
        Index(
            "ix_consent_deliveries_clock",
            "escalation",
            "due_at",
            postgresql_where=text(_CLOCK_RUNS),
            sqlite_where=text(_CLOCK_RUNS),
        ),
        Index(
            "ix_consent_deliveries_unsent",
            "agency_id",
            "client_id",
            "id",
            postgresql_where=text(_UNSENT),
            sqlite_where=text(_UNSENT),
        ),
        Index(
            "ix_consent_deliveries_compared",
            "compared_at",
            postgresql_where=text(_MAY_LIE),
            sqlite_where=text(_MAY_LIE),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    event_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_events.id"))
    consent_id: Mapped[str] = mapped_column(Id, index=True)
    agency_id: Mapped[str] = mapped_column(Id, index=True)
    client_id: Mapped[str] = mapped_column(String(200), index=True)
    role: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(20))
    items: Mapped[list[str]] = mapped_column(Json)
    awaits: Mapped[str] = mapped_column(String(20))
    jti: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(Integer)
    last_error: Mapped[str | None] = mapped_column(String(500))
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    contradicted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    contradicted_by: Mapped[str | None] = mapped_column(Id)
    compared_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    escalation: Mapped[str] = mapped_column(String(10))
    escalated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Attestation(Base):
    """What a recipient signed: that it received the news, that it stopped, that it erased. Kept as it was signed."""

    __tablename__ = "consent_attestations"
    __table_args__ = (
        UniqueConstraint("delivery_id", "state"),
        CheckConstraint("state IN ('acknowledged', 'stopped', 'erased')", name="state"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    delivery_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_deliveries.id"))
    state: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    jws: Mapped[str] = mapped_column(Text)

    def as_json(self) -> dict[str, Any]:
        """What the log's leaf commits to."""
        return {
            "id": self.id,
            "delivery_id": self.delivery_id,
            "state": self.state,
            "at": _moment(self.at),
            "jws": self.jws,
        }


class Escalation(Base):
    """The clock struck, or a recipient was found out: a day is gone, two, three; or it said stopped and had not.

    `suspended` tells whether its app was suspended for it.
    """

    __tablename__ = "consent_escalations"
    __table_args__ = (
        UniqueConstraint("delivery_id", "level"),
        CheckConstraint("level IN ('amber', 'red', 'breach', 'contradicted')", name="level"),
        Index("ix_consent_escalations_at", "at", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    delivery_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_deliveries.id"))
    level: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    suspended: Mapped[bool] = mapped_column(Boolean)

    def as_json(self) -> dict[str, Any]:
        """What the log's leaf commits to."""
        return {
            "id": self.id,
            "delivery_id": self.delivery_id,
            "level": self.level,
            "at": _moment(self.at),
            "suspended": self.suspended,
        }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


class Ending(Base):
    """A purpose version, agreement, agency or app that ends: all its consents end with it, batch by batch.

    The gate refuses from the commit of the approval on; the batches write each consent's event and its deliveries.
    `proposed_by` and `approved_by` are two people (`consent.registry.people`); `ended` counts consents.
    """

    __tablename__ = "consent_endings"
    __table_args__ = (
        CheckConstraint("object_kind IN ('agency', 'purpose_version', 'agreement_version', 'client')", name="kind"),
        CheckConstraint("status IN ('proposed', 'running', 'done', 'rejected')", name="status"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    object_kind: Mapped[str] = mapped_column(String(20))
    object_id: Mapped[str] = mapped_column(String(200), index=True)
    reason: Mapped[str] = mapped_column(String(500))
    preview: Mapped[dict[str, Any]] = mapped_column(Json)
    proposed_by: Mapped[dict[str, Any]] = mapped_column(Json)
    approved_by: Mapped[dict[str, Any] | None] = mapped_column(Json)
    status: Mapped[str] = mapped_column(String(20))
    ended: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
