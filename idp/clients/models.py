"""Apps: the OAuth clients, each of an agency."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.database import Base
from keys.columns import Id, Json, UtcDateTime


class Client(Base):
    """An app's registration, in the words of RFC 7591 and OpenID Connect Dynamic Client Registration §2.

    `agency_id` names a row of `consent`'s registry (no foreign key: two packages). `secrets` is a list of
    `{"sha256": hex, "created_at": iso, "expires_at": iso or null}`: a secret is 256 random bits, so a plain hash keeps
    it safe, and two may be valid at once while one is being rotated out. `resources` are the protected resources that
    this client *is* (its tokens' audiences), `allowed_resources` those that it may ask tokens for.
    """

    __tablename__ = "idp_clients"
    __table_args__ = (
        CheckConstraint("status IN ('live', 'disabled')", name="status"),
        CheckConstraint("profile IN ('oidc', 'fapi2')", name="profile"),
        CheckConstraint("application_type IN ('web', 'native', 'spa')", name="application_type"),
        CheckConstraint("subject_type IN ('pairwise', 'public')", name="subject_type"),
    )

    client_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    agency_id: Mapped[str] = mapped_column(Id, index=True)
    names: Mapped[dict[str, str]] = mapped_column(Json)
    status: Mapped[str] = mapped_column(String(20), default="live")
    verified: Mapped[bool] = mapped_column(Boolean, default=False)
    profile: Mapped[str] = mapped_column(String(20), default="oidc")
    application_type: Mapped[str] = mapped_column(String(20), default="web")
    redirect_uris: Mapped[list[str]] = mapped_column(Json, default=list)
    post_logout_redirect_uris: Mapped[list[str]] = mapped_column(Json, default=list)
    grant_types: Mapped[list[str]] = mapped_column(Json)
    response_modes: Mapped[list[str]] = mapped_column(Json)
    token_endpoint_auth_method: Mapped[str] = mapped_column(String(40))
    secrets: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    jwks: Mapped[dict[str, Any] | None] = mapped_column(Json)
    scopes: Mapped[list[str]] = mapped_column(Json)
    resources: Mapped[list[str]] = mapped_column(Json, default=list)
    allowed_resources: Mapped[list[str]] = mapped_column(Json, default=list)
    purpose_codes: Mapped[list[str]] = mapped_column(Json, default=list)
    subject_type: Mapped[str] = mapped_column(String(20), default="pairwise")
    id_token_signed_response_alg: Mapped[str] = mapped_column(String(20), default="RS256")
    userinfo_signed_response_alg: Mapped[str | None] = mapped_column(String(20))
    require_pkce: Mapped[bool] = mapped_column(Boolean, default=True)
    default_max_age: Mapped[int | None] = mapped_column(Integer)
    web_origins: Mapped[list[str]] = mapped_column(Json, default=list)
    client_uri: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
