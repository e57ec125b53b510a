"""The keys that sign receipts."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from consent.models import Base
from keys.columns import Json, UtcDateTime


class ReceiptKey(Base):
    """One key, from its creation on: what it signed is looked at for decades, so its public half stays for good.

    The one without `replaced_at` signs. `sealed_private` is gone once another took over. `revoked_at` is when it was
    found to have leaked: it is published no more, and its receipts are to be fetched again.
    """

    __tablename__ = "consent_receipt_keys"
    __table_args__ = (
        CheckConstraint("sealed_private IS NULL OR replaced_at IS NULL", name="no_private_part_after_signing"),
    )

    kid: Mapped[str] = mapped_column(String(200), primary_key=True)
    public_jwk: Mapped[dict[str, Any]] = mapped_column(Json)
    sealed_private: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    replaced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
