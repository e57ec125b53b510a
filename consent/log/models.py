"""What the log keeps: the queue of what is to be committed to, the tree's tiles, and the signed checkpoints."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, SmallInteger, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from consent.models import Base
from keys.columns import Id, UtcDateTime


class LogEntry(Base):
    """One leaf, from the transaction that wrote what it commits to. `id` is the id of that row.

    `log_index` is its place in the tree, given by the sequencer; None while it waits. Nothing here is personal: the
    commitment's opening is derived from the person's key.
    """

    __tablename__ = "consent_log_entries"
    __table_args__ = (
        Index(
            "ix_consent_log_entries_waiting",
            "id",
            postgresql_where=text("log_index IS NULL"),
            sqlite_where=text("log_index IS NULL"),
        ),
        # Each row is updated once, when it gets its place; a fifth of a billion dead ones are too many to wait for.
        {"postgresql_with": {"autovacuum_vacuum_scale_factor": "0.01"}},
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[int] = mapped_column(SmallInteger)
    commitment: Mapped[bytes] = mapped_column(LargeBinary(32))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    log_index: Mapped[int | None] = mapped_column(BigInteger, unique=True)


class LogTile(Base):
    """The hashes of one tile, 32 bytes each: 1 to 256 of them. A full tile never changes.

    `level` and `number` are those of C2SP tlog-tiles. Level -1 has entry bundles: the leaves' data, as served.
    """

    __tablename__ = "consent_log_tiles"
    # The few rows at the right edge are written anew all the time, and their bytes are kept beside the table.
    __table_args__ = (
        {
            "postgresql_with": {
                "autovacuum_vacuum_scale_factor": "0.01",
                "toast.autovacuum_vacuum_scale_factor": "0.01",
            }
        },
    )

    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    width: Mapped[int] = mapped_column(Integer)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class LogCheckpoint(Base):
    """A checkpoint that was signed, and the witnesses' signatures that came for it.

    `cosigned_at` is when they first were as many as the policy wants.
    """

    __tablename__ = "consent_log_checkpoints"
    __table_args__ = (
        Index("ix_consent_log_checkpoints_signed_at", "signed_at"),
        Index(
            "ix_consent_log_checkpoints_cosigned",
            "size",
            postgresql_where=text("cosigned_at IS NOT NULL"),
            sqlite_where=text("cosigned_at IS NOT NULL"),
        ),
    )

    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    note: Mapped[str] = mapped_column(Text)
    signed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    cosigned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class LogHead(Base):
    """Where the one sequencer stands: one row, changed only by whoever still finds the `size` that they read.

    `halted` says why nothing more may be signed until an operator has looked; None in good times.
    """

    __tablename__ = "consent_log_heads"

    origin: Mapped[str] = mapped_column(String(200), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    halted: Mapped[str | None] = mapped_column(String(500))
