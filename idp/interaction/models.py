"""A visit to the provider's pages, from the request that began it to the answer."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.database import Base
from keys.columns import Id, Json, UtcDateTime


class Interaction(Base):
    """What was asked, kept on the server, and how far the person has come. Bound to one browser by a cookie.

    `kind` is `authorize` (an app asked; `request` is the parsed authorization request) or `page` (one of our own
    pages needs a login; `return_to` is its path).
    """

    __tablename__ = "idp_interactions"
    __table_args__ = (CheckConstraint("kind IN ('authorize', 'page')", name="kind"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    browser_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    kind: Mapped[str] = mapped_column(String(20))
    client_id: Mapped[str | None] = mapped_column(String(200))
    request: Mapped[dict[str, Any] | None] = mapped_column(Json)
    return_to: Mapped[str | None] = mapped_column(String(500))
    locale: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    logged_in_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    session_id: Mapped[str | None] = mapped_column(Id)
    account_confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    consented_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    consent_id: Mapped[str | None] = mapped_column(Id)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
