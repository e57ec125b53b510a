"""The registry of agencies and purposes, consents and their events.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from keys.columns import Id, Json, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consent_agencies",
        sa.Column("id", Id, nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("names", Json, nullable=False),
        sa.Column("contact", sa.String(length=300), nullable=False),
        sa.Column("privacy_contact", sa.String(length=300), nullable=False),
        sa.Column("website", sa.String(length=500), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("status IN ('active', 'suspended')", name=op.f("ck_consent_agencies_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_agencies")),
        sa.UniqueConstraint("code", name=op.f("uq_consent_agencies_code")),
    )
    op.create_table(
        "consent_officer_actions",
        sa.Column("id", Id, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("officer_id", Id, nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("consent_id", Id, nullable=True),
        sa.Column("filters", Json, nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.CheckConstraint("action IN ('list', 'open', 'export')", name=op.f("ck_consent_officer_actions_action")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_officer_actions")),
    )
    op.create_index(op.f("ix_consent_officer_actions_at"), "consent_officer_actions", ["at"], unique=False)
    op.create_table(
        "consent_shown_texts",
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("first_shown_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_consent_shown_texts")),
    )
    op.create_table(
        "consent_purposes",
        sa.Column("id", Id, nullable=False),
        sa.Column("agency_id", Id, nullable=False),
        sa.Column("code", sa.String(length=100), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["consent_agencies.id"], name=op.f("fk_consent_purposes_agency_id_consent_agencies")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_purposes")),
        sa.UniqueConstraint("code", name=op.f("uq_consent_purposes_code")),
    )
    op.create_index(op.f("ix_consent_purposes_agency_id"), "consent_purposes", ["agency_id"], unique=False)
    op.create_table(
        "consent_purpose_versions",
        sa.Column("id", Id, nullable=False),
        sa.Column("purpose_id", Id, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("texts", Json, nullable=False),
        sa.Column("items", Json, nullable=False),
        sa.Column("legal_basis", sa.String(length=40), nullable=False),
        sa.Column("legal_citation", sa.String(length=500), nullable=False),
        sa.Column("retention_days", sa.Integer(), nullable=False),
        sa.Column("validity_days", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "legal_basis IN ('consent', 'contract', 'legal_obligation', 'vital_interest', 'public_task', "
            "'legitimate_interest')",
            name=op.f("ck_consent_purpose_versions_legal_basis"),
        ),
        sa.ForeignKeyConstraint(
            ["purpose_id"],
            ["consent_purposes.id"],
            name=op.f("fk_consent_purpose_versions_purpose_id_consent_purposes"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_purpose_versions")),
        sa.UniqueConstraint("purpose_id", "version", name=op.f("uq_consent_purpose_versions_purpose_id_version")),
    )
    op.create_index(
        op.f("ix_consent_purpose_versions_purpose_id"), "consent_purpose_versions", ["purpose_id"], unique=False
    )
    records_and_events()


def records_and_events() -> None:
    """The consents and their events as they were before 0004, which goes back to them."""
    op.create_table(
        "consent_records",
        sa.Column("id", Id, nullable=False),
        sa.Column("subject_id", Id, nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("agency_id", Id, nullable=False),
        sa.Column("purpose_id", Id, nullable=False),
        sa.Column("purpose_version_id", Id, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("granted", Json, nullable=False),
        sa.Column("refused", Json, nullable=False),
        sa.Column("offline_access", sa.Boolean(), nullable=False),
        sa.Column("decided_at", UtcDateTime, nullable=False),
        sa.Column("valid_until", UtcDateTime, nullable=True),
        sa.Column("ended_at", UtcDateTime, nullable=True),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('given', 'refused', 'withdrawn', 'expired', 'superseded')",
            name=op.f("ck_consent_records_status"),
        ),
        sa.ForeignKeyConstraint(
            ["purpose_id"], ["consent_purposes.id"], name=op.f("fk_consent_records_purpose_id_consent_purposes")
        ),
        sa.ForeignKeyConstraint(
            ["purpose_version_id"],
            ["consent_purpose_versions.id"],
            name=op.f("fk_consent_records_purpose_version_id_consent_purpose_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_records")),
    )
    op.create_index(
        "ix_consent_records_due",
        "consent_records",
        ["valid_until"],
        unique=False,
        postgresql_where=sa.text("status = 'given'"),
        sqlite_where=sa.text("status = 'given'"),
    )
    op.create_index(op.f("ix_consent_records_subject_id"), "consent_records", ["subject_id"], unique=False)
    op.create_index(
        "uq_consent_records_given",
        "consent_records",
        ["subject_id", "client_id", "purpose_id"],
        unique=True,
        postgresql_where=sa.text("status = 'given'"),
        sqlite_where=sa.text("status = 'given'"),
    )
    op.create_table(
        "consent_events",
        sa.Column("id", Id, nullable=False),
        sa.Column("consent_id", Id, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("subject_id", Id, nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("agency_id", Id, nullable=False),
        sa.Column("purpose_id", Id, nullable=False),
        sa.Column("purpose_version_id", Id, nullable=False),
        sa.Column("granted", Json, nullable=False),
        sa.Column("refused", Json, nullable=False),
        sa.Column("offline_access", sa.Boolean(), nullable=False),
        sa.Column("valid_until", UtcDateTime, nullable=True),
        sa.Column("language", sa.String(length=20), nullable=True),
        sa.Column("text_sha256", sa.LargeBinary(length=32), nullable=True),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("acr", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("previous_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint(
            "kind IN ('granted', 'refused', 'withdrawn', 'expired', 'superseded')", name=op.f("ck_consent_events_kind")
        ),
        sa.ForeignKeyConstraint(
            ["consent_id"], ["consent_records.id"], name=op.f("fk_consent_events_consent_id_consent_records")
        ),
        sa.ForeignKeyConstraint(
            ["text_sha256"],
            ["consent_shown_texts.sha256"],
            name=op.f("fk_consent_events_text_sha256_consent_shown_texts"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_events")),
        sa.UniqueConstraint("consent_id", "seq", name=op.f("uq_consent_events_consent_id_seq")),
    )
    op.create_index("ix_consent_events_agency_at", "consent_events", ["agency_id", "at", "id"], unique=False)
    op.create_index("ix_consent_events_at", "consent_events", ["at", "id"], unique=False)
    op.create_index("ix_consent_events_purpose_at", "consent_events", ["purpose_id", "at", "id"], unique=False)
    op.create_index("ix_consent_events_subject_at", "consent_events", ["subject_id", "at", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("consent_events")
    op.drop_table("consent_records")
    op.drop_table("consent_purpose_versions")
    op.drop_table("consent_purposes")
    op.drop_table("consent_shown_texts")
    op.drop_table("consent_officer_actions")
    op.drop_table("consent_agencies")
