"""Policies, as the GovStack Consent Building Block has them: what several data agreements of an agency refer to."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from consent.models import Base
from keys.columns import Id, Json, UtcDateTime


class PolicyRevision(Base):
    """One revision of a policy. Append-only: changing it adds one, deleting it adds the one that says so.

    `content` has the members of GovStack's `Policy` without `id`; `digest` is the SHA-256 of the revision's canonical
    JSON, which names the digest before it.
    """

    __tablename__ = "consent_policy_revisions"
    __table_args__ = (
        UniqueConstraint("policy_id", "number"),
        Index("ix_consent_policy_revisions_agency", "agency_id", "policy_id", "number"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    policy_id: Mapped[str] = mapped_column(Id)
    agency_id: Mapped[str] = mapped_column(Id, ForeignKey("consent_agencies.id"))
    number: Mapped[int] = mapped_column(Integer)
    content: Mapped[dict[str, Any]] = mapped_column(Json)
    is_deleted: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(String(200))
    previous_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
