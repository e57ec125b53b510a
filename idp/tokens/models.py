"""What was authorized, and the tokens that came of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.database import Base
from keys.columns import Id, Json, UtcDateTime


class Authorization(Base):
    """One answered authorization request: its code, and what every token from that code may do.

    It is the family that reuse detection kills: setting `revoked_at` ends every access and refresh token of it at
    once. `consent_id` names the consent record that covers it; no authorization of a person exists without one.
    """

    __tablename__ = "idp_authorizations"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    code_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    code_expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    redeemed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    client_id: Mapped[str] = mapped_column(String(200))
    account_id: Mapped[str] = mapped_column(Id, index=True)
    session_id: Mapped[str] = mapped_column(Id, index=True)
    consent_id: Mapped[str] = mapped_column(Id, index=True)
    subject: Mapped[str] = mapped_column(String(255))
    redirect_uri: Mapped[str] = mapped_column(String(2000))
    redirect_uri_was_sent: Mapped[bool] = mapped_column(Boolean)
    code_challenge: Mapped[str | None] = mapped_column(String(128))
    nonce: Mapped[str | None] = mapped_column(String(1000))
    scope: Mapped[str] = mapped_column(String(2000))
    resources: Mapped[list[str]] = mapped_column(Json, default=list)
    claims: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    authorization_details: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    auth_time: Mapped[datetime] = mapped_column(UtcDateTime)
    acr: Mapped[str] = mapped_column(String(100))
    amr: Mapped[list[str]] = mapped_column(Json)
    sid: Mapped[str] = mapped_column(String(64))
    offline: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    refresh_expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_because: Mapped[str | None] = mapped_column(String(100))


class AccessToken(Base):
    """An issued access token, by its `jti`. The token itself is a signed JWT and is not kept.

    `status_position` is its place on the status lists (`idp/status_list/`), which no other token has.
    """

    __tablename__ = "idp_access_tokens"
    __table_args__ = (Index("ix_idp_access_tokens_expires_at", "expires_at"),)

    jti: Mapped[str] = mapped_column(String(64), primary_key=True)
    authorization_id: Mapped[str | None] = mapped_column(Id, ForeignKey("idp_authorizations.id"), index=True)
    client_id: Mapped[str] = mapped_column(String(200))
    audiences: Mapped[list[str]] = mapped_column(Json)
    scope: Mapped[str] = mapped_column(String(2000))
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    status_position: Mapped[int | None] = mapped_column(BigInteger, unique=True, index=True)


class RefreshToken(Base):
    """One link of a refresh token's chain, by its SHA-256.

    The successor of a token is derived from it (HMAC under a sealed secret), so a client whose answer was lost gets
    the same successor again within the retry window, and no second lineage can start.
    """

    __tablename__ = "idp_refresh_tokens"
    __table_args__ = (Index("ix_idp_refresh_tokens_expires_at", "expires_at"),)

    token_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    authorization_id: Mapped[str] = mapped_column(Id, ForeignKey("idp_authorizations.id"), index=True)
    client_id: Mapped[str] = mapped_column(String(200))
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    rotated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
