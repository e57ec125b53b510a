"""Which places on the status lists are taken."""

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from idp.database import Base
from keys.columns import UtcDateTime

# SQLite counts up by itself in INTEGER columns only.
Serial: Final = BigInteger().with_variant(Integer(), "sqlite")


class StatusBlock(Base):
    """A run of places that one process took for the tokens that it is about to issue.

    Its places follow from its `id`, which the database gives and never gives again; so nobody waits for a counter's
    row. No token in the block lives after `expires_at`.
    """

    __tablename__ = "idp_status_blocks"
    __table_args__ = (
        Index("ix_idp_status_blocks_expires_at", "expires_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    reserved_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
