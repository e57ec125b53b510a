"""People, and the roles that a few of them have."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.database import Base
from keys.columns import Id, Json, UtcDateTime


class Account(Base):
    """One person. `id` is random, opaque, never shown to an app and never used twice.

    `profile` holds the person's data under the names of OpenID Connect's standard claims, and the national ones under
    their documented namespace.
    """

    __tablename__ = "idp_accounts"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    username: Mapped[str] = mapped_column(String(200), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(400))
    profile: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    locale: Mapped[str | None] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    password_changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RoleGrant(Base):
    """A role that an account holds. Citizens hold none."""

    __tablename__ = "idp_roles"
    __table_args__ = (CheckConstraint("role IN ('privacy_officer', 'assisting_officer')", name="role"),)

    account_id: Mapped[str] = mapped_column(Id, ForeignKey("idp_accounts.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(40), primary_key=True)
    granted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    granted_by: Mapped[str] = mapped_column(String(200))
