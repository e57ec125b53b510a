"""What erasing keeps: who is being erased and how far it is, what was erased by which rule, and what must not be."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from consent.models import Base
from keys.columns import Id, Json, UtcDateTime

_OPEN = "finished_at IS NULL"


class Erasure(Base):
    """One person's erasure, from the request to the end; afterwards `subject_id` is gone and nothing names them.

    `basis` is `request` (the person's own) or `order` (an authority's, `citation`). `wait_until` is how long those who
    must still be told are waited for. `destroyed_at` is when the key was destroyed; what follows only tidies up.
    """

    __tablename__ = "consent_erasures"
    __table_args__ = (
        CheckConstraint("basis IN ('request', 'order')", name="basis"),
        CheckConstraint("finished_at IS NULL OR subject_id IS NULL", name="finished_names_nobody"),
        Index(
            "uq_consent_erasures_open",
            "subject_id",
            unique=True,
            postgresql_where=text(_OPEN),
            sqlite_where=text(_OPEN),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    subject_id: Mapped[str | None] = mapped_column(Id)
    basis: Mapped[str] = mapped_column(String(20))
    citation: Mapped[str | None] = mapped_column(String(500))
    requested_by: Mapped[str] = mapped_column(String(200))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    wait_until: Mapped[datetime] = mapped_column(UtcDateTime)
    destroyed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ErasureEntry(Base):
    """What was erased, by which rule, how many rows: nothing of whom. Append-only, and a leaf of the log.

    `rows` counts by table. `before`: rows of the table older than this may be missing from now on.
    """

    __tablename__ = "consent_erasure_entries"
    __table_args__ = (Index("ix_consent_erasure_entries_rule", "rule", "before"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    rule: Mapped[str] = mapped_column(String(60))
    before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    rows: Mapped[dict[str, Any]] = mapped_column(Json)
    erasure_id: Mapped[str | None] = mapped_column(Id)
    citation: Mapped[str | None] = mapped_column(String(500))


class Hold(Base):
    """A legal hold: nothing of this person is erased while it stands. A dispute, an investigation, a court's order."""

    __tablename__ = "consent_holds"
    __table_args__ = (
        Index(
            "ix_consent_holds_standing",
            "subject_id",
            postgresql_where=text("lifted_at IS NULL"),
            sqlite_where=text("lifted_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    subject_id: Mapped[str] = mapped_column(Id)
    reason: Mapped[str] = mapped_column(String(500))
    citation: Mapped[str] = mapped_column(String(500))
    placed_by: Mapped[str] = mapped_column(String(200))
    placed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lifted_by: Mapped[str | None] = mapped_column(String(200))
    lifted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
