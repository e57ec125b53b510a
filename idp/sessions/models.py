"""A person signed in, in one browser."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.database import Base
from keys.columns import Id, Json, UtcDateTime


class LoginSession(Base):
    """A login, as a row. The cookie holds 256 random bits; the row holds their SHA-256."""

    __tablename__ = "idp_sessions"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    account_id: Mapped[str] = mapped_column(Id, ForeignKey("idp_accounts.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    authenticated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acr: Mapped[str] = mapped_column(String(100))
    amr: Mapped[list[str]] = mapped_column(Json)
    user_agent: Mapped[str] = mapped_column(String(300), default="")
