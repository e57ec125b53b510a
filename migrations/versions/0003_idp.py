"""People, apps, sessions, interactions, tokens, and what protects them.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

from keys.columns import Id, Json, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idp_accounts",
        sa.Column("id", Id, nullable=False),
        sa.Column("username", sa.String(length=200), nullable=False),
        sa.Column("password_hash", sa.String(length=400), nullable=True),
        sa.Column("profile", Json, nullable=False),
        sa.Column("locale", sa.String(length=20), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("password_changed_at", UtcDateTime, nullable=True),
        sa.Column("disabled_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idp_accounts")),
        sa.UniqueConstraint("username", name=op.f("uq_idp_accounts_username")),
    )
    op.create_table(
        "idp_audit_events",
        sa.Column("id", Id, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("account_id", Id, nullable=True),
        sa.Column("client_id", sa.String(length=200), nullable=True),
        sa.Column("session_id", Id, nullable=True),
        sa.Column("address", sa.String(length=60), nullable=True),
        sa.Column("detail", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idp_audit_events")),
    )
    op.create_index("ix_idp_audit_events_account_at", "idp_audit_events", ["account_id", "at"], unique=False)
    op.create_index("ix_idp_audit_events_at", "idp_audit_events", ["at", "id"], unique=False)
    op.create_table(
        "idp_authorizations",
        sa.Column("id", Id, nullable=False),
        sa.Column("code_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("code_expires_at", UtcDateTime, nullable=False),
        sa.Column("redeemed_at", UtcDateTime, nullable=True),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("session_id", Id, nullable=False),
        sa.Column("consent_id", Id, nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("redirect_uri", sa.String(length=2000), nullable=False),
        sa.Column("redirect_uri_was_sent", sa.Boolean(), nullable=False),
        sa.Column("code_challenge", sa.String(length=128), nullable=True),
        sa.Column("nonce", sa.String(length=1000), nullable=True),
        sa.Column("scope", sa.String(length=2000), nullable=False),
        sa.Column("resources", Json, nullable=False),
        sa.Column("claims", Json, nullable=False),
        sa.Column("authorization_details", Json, nullable=False),
        sa.Column("auth_time", UtcDateTime, nullable=False),
        sa.Column("acr", sa.String(length=100), nullable=False),
        sa.Column("amr", Json, nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("offline", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("refresh_expires_at", UtcDateTime, nullable=False),
        sa.Column("revoked_at", UtcDateTime, nullable=True),
        sa.Column("revoked_because", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idp_authorizations")),
        sa.UniqueConstraint("code_sha256", name=op.f("uq_idp_authorizations_code_sha256")),
    )
    op.create_index(op.f("ix_idp_authorizations_account_id"), "idp_authorizations", ["account_id"], unique=False)
    op.create_index(op.f("ix_idp_authorizations_consent_id"), "idp_authorizations", ["consent_id"], unique=False)
    op.create_index(op.f("ix_idp_authorizations_session_id"), "idp_authorizations", ["session_id"], unique=False)
    op.create_table(
        "idp_clients",
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("agency_id", Id, nullable=False),
        sa.Column("names", Json, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("profile", sa.String(length=20), nullable=False),
        sa.Column("application_type", sa.String(length=20), nullable=False),
        sa.Column("redirect_uris", Json, nullable=False),
        sa.Column("post_logout_redirect_uris", Json, nullable=False),
        sa.Column("grant_types", Json, nullable=False),
        sa.Column("response_modes", Json, nullable=False),
        sa.Column("token_endpoint_auth_method", sa.String(length=40), nullable=False),
        sa.Column("secrets", Json, nullable=False),
        sa.Column("jwks", Json, nullable=True),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("resources", Json, nullable=False),
        sa.Column("allowed_resources", Json, nullable=False),
        sa.Column("purpose_codes", Json, nullable=False),
        sa.Column("subject_type", sa.String(length=20), nullable=False),
        sa.Column("id_token_signed_response_alg", sa.String(length=20), nullable=False),
        sa.Column("userinfo_signed_response_alg", sa.String(length=20), nullable=True),
        sa.Column("require_pkce", sa.Boolean(), nullable=False),
        sa.Column("default_max_age", sa.Integer(), nullable=True),
        sa.Column("web_origins", Json, nullable=False),
        sa.Column("client_uri", sa.String(length=500), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("disabled_at", UtcDateTime, nullable=True),
        sa.CheckConstraint(
            "application_type IN ('web', 'native', 'spa')", name=op.f("ck_idp_clients_application_type")
        ),
        sa.CheckConstraint("profile IN ('oidc', 'fapi2')", name=op.f("ck_idp_clients_profile")),
        sa.CheckConstraint("status IN ('live', 'disabled')", name=op.f("ck_idp_clients_status")),
        sa.CheckConstraint("subject_type IN ('pairwise', 'public')", name=op.f("ck_idp_clients_subject_type")),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_idp_clients")),
    )
    op.create_index(op.f("ix_idp_clients_agency_id"), "idp_clients", ["agency_id"], unique=False)
    op.create_table(
        "idp_interactions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("browser_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=True),
        sa.Column("request", Json, nullable=True),
        sa.Column("return_to", sa.String(length=500), nullable=True),
        sa.Column("locale", sa.String(length=20), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("logged_in_at", UtcDateTime, nullable=True),
        sa.Column("session_id", Id, nullable=True),
        sa.Column("account_confirmed_at", UtcDateTime, nullable=True),
        sa.Column("consented_at", UtcDateTime, nullable=True),
        sa.Column("consent_id", Id, nullable=True),
        sa.Column("finished_at", UtcDateTime, nullable=True),
        sa.CheckConstraint("kind IN ('authorize', 'page')", name=op.f("ck_idp_interactions_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idp_interactions")),
    )
    op.create_index(op.f("ix_idp_interactions_expires_at"), "idp_interactions", ["expires_at"], unique=False)
    op.create_table(
        "idp_throttle",
        sa.Column("bucket", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("window_started_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_idp_throttle")),
    )
    op.create_index("ix_idp_throttle_window_started_at", "idp_throttle", ["window_started_at"], unique=False)
    op.create_table(
        "idp_used_once",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("issuer", sa.String(length=200), nullable=False),
        sa.Column("identifier", sa.String(length=300), nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("kind", "issuer", "identifier", name=op.f("pk_idp_used_once")),
    )
    op.create_index("ix_idp_used_once_expires_at", "idp_used_once", ["expires_at"], unique=False)
    op.create_table(
        "idp_access_tokens",
        sa.Column("jti", sa.String(length=64), nullable=False),
        sa.Column("authorization_id", Id, nullable=True),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("audiences", Json, nullable=False),
        sa.Column("scope", sa.String(length=2000), nullable=False),
        sa.Column("issued_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("revoked_at", UtcDateTime, nullable=True),
        sa.ForeignKeyConstraint(
            ["authorization_id"],
            ["idp_authorizations.id"],
            name=op.f("fk_idp_access_tokens_authorization_id_idp_authorizations"),
        ),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_idp_access_tokens")),
    )
    op.create_index(
        op.f("ix_idp_access_tokens_authorization_id"), "idp_access_tokens", ["authorization_id"], unique=False
    )
    op.create_index("ix_idp_access_tokens_expires_at", "idp_access_tokens", ["expires_at"], unique=False)
    op.create_table(
        "idp_known_browsers",
        sa.Column("account_id", Id, nullable=False),
        sa.Column("browser_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("last_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["idp_accounts.id"], name=op.f("fk_idp_known_browsers_account_id_idp_accounts")
        ),
        sa.PrimaryKeyConstraint("account_id", "browser_sha256", name=op.f("pk_idp_known_browsers")),
    )
    op.create_index("ix_idp_known_browsers_last_at", "idp_known_browsers", ["last_at"], unique=False)
    op.create_table(
        "idp_refresh_tokens",
        sa.Column("token_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("authorization_id", Id, nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("issued_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("rotated_at", UtcDateTime, nullable=True),
        sa.ForeignKeyConstraint(
            ["authorization_id"],
            ["idp_authorizations.id"],
            name=op.f("fk_idp_refresh_tokens_authorization_id_idp_authorizations"),
        ),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_idp_refresh_tokens")),
    )
    op.create_index(
        op.f("ix_idp_refresh_tokens_authorization_id"), "idp_refresh_tokens", ["authorization_id"], unique=False
    )
    op.create_index("ix_idp_refresh_tokens_expires_at", "idp_refresh_tokens", ["expires_at"], unique=False)
    op.create_table(
        "idp_roles",
        sa.Column("account_id", Id, nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("granted_at", UtcDateTime, nullable=False),
        sa.Column("granted_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint("role IN ('privacy_officer')", name=op.f("ck_idp_roles_role")),
        sa.ForeignKeyConstraint(["account_id"], ["idp_accounts.id"], name=op.f("fk_idp_roles_account_id_idp_accounts")),
        sa.PrimaryKeyConstraint("account_id", "role", name=op.f("pk_idp_roles")),
    )
    op.create_table(
        "idp_sessions",
        sa.Column("id", Id, nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("authenticated_at", UtcDateTime, nullable=False),
        sa.Column("last_seen_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime, nullable=True),
        sa.Column("acr", sa.String(length=100), nullable=False),
        sa.Column("amr", Json, nullable=False),
        sa.Column("user_agent", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["idp_accounts.id"], name=op.f("fk_idp_sessions_account_id_idp_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idp_sessions")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_idp_sessions_token_sha256")),
    )
    op.create_index(op.f("ix_idp_sessions_account_id"), "idp_sessions", ["account_id"], unique=False)
    op.create_index(op.f("ix_idp_sessions_expires_at"), "idp_sessions", ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_table("idp_sessions")
    op.drop_table("idp_roles")
    op.drop_table("idp_refresh_tokens")
    op.drop_table("idp_known_browsers")
    op.drop_table("idp_access_tokens")
    op.drop_table("idp_used_once")
    op.drop_table("idp_throttle")
    op.drop_table("idp_interactions")
    op.drop_table("idp_clients")
    op.drop_table("idp_authorizations")
    op.drop_table("idp_audit_events")
    op.drop_table("idp_accounts")
