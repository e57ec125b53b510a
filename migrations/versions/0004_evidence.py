"""Evidence: agreements, versions that are approved, and consents whose events are sealed and chained by commitment.

Revision ID: 0004
Revises: 0003
"""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

from keys.columns import Id, Json, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _refuse_what_cannot_be_sealed()
    op.drop_table("consent_events")
    op.drop_table("consent_records")
    op.create_table(
        "consent_attributes",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("labels", Json, nullable=False),
        sa.Column("category", sa.String(length=60), nullable=False),
        sa.Column("is_specific", sa.Boolean(), nullable=False),
        sa.Column("dpv_iri", sa.String(length=300), nullable=False),
        sa.Column("source_agency_id", Id, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["source_agency_id"],
            ["consent_agencies.id"],
            name=op.f("fk_consent_attributes_source_agency_id_consent_agencies"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_consent_attributes")),
    )
    op.create_index(
        op.f("ix_consent_attributes_source_agency_id"), "consent_attributes", ["source_agency_id"], unique=False
    )
    op.create_table(
        "consent_registry_events",
        sa.Column("id", Id, nullable=False),
        sa.Column("object_kind", sa.String(length=20), nullable=False),
        sa.Column("object_id", sa.String(length=200), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint(
            "object_kind IN ('agency', 'attribute', 'purpose_version', 'agreement_version')",
            name=op.f("ck_consent_registry_events_object_kind"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_registry_events")),
        sa.UniqueConstraint("object_id", "seq", name=op.f("uq_consent_registry_events_object_id_seq")),
    )
    op.create_index("ix_consent_registry_events_at", "consent_registry_events", ["at", "id"], unique=False)
    op.create_table(
        "consent_agreements",
        sa.Column("id", Id, nullable=False),
        sa.Column("code", sa.String(length=100), nullable=False),
        sa.Column("provider_agency_id", Id, nullable=False),
        sa.Column("recipient_agency_id", Id, nullable=False),
        sa.Column("purpose_id", Id, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_agency_id"],
            ["consent_agencies.id"],
            name=op.f("fk_consent_agreements_provider_agency_id_consent_agencies"),
        ),
        sa.ForeignKeyConstraint(
            ["purpose_id"], ["consent_purposes.id"], name=op.f("fk_consent_agreements_purpose_id_consent_purposes")
        ),
        sa.ForeignKeyConstraint(
            ["recipient_agency_id"],
            ["consent_agencies.id"],
            name=op.f("fk_consent_agreements_recipient_agency_id_consent_agencies"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_agreements")),
        sa.UniqueConstraint("code", name=op.f("uq_consent_agreements_code")),
    )
    op.create_index(
        op.f("ix_consent_agreements_provider_agency_id"), "consent_agreements", ["provider_agency_id"], unique=False
    )
    op.create_index(op.f("ix_consent_agreements_purpose_id"), "consent_agreements", ["purpose_id"], unique=False)
    op.create_index(
        op.f("ix_consent_agreements_recipient_agency_id"), "consent_agreements", ["recipient_agency_id"], unique=False
    )
    op.create_table(
        "consent_agreement_versions",
        sa.Column("id", Id, nullable=False),
        sa.Column("agreement_id", Id, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("instrument", Json, nullable=False),
        sa.Column("items", Json, nullable=False),
        sa.Column("valid_from", UtcDateTime, nullable=False),
        sa.Column("valid_until", UtcDateTime, nullable=False),
        sa.Column("fetch_type", sa.String(length=20), nullable=False),
        sa.Column("use_limit", sa.Integer(), nullable=True),
        sa.Column("use_window_days", sa.Integer(), nullable=True),
        sa.Column("data_life_days", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "fetch_type IN ('onetime', 'periodic')", name=op.f("ck_consent_agreement_versions_fetch_type")
        ),
        sa.CheckConstraint(
            "status IN ('proposed', 'active', 'superseded', 'rejected', 'ended')",
            name=op.f("ck_consent_agreement_versions_status"),
        ),
        sa.ForeignKeyConstraint(
            ["agreement_id"],
            ["consent_agreements.id"],
            name=op.f("fk_consent_agreement_versions_agreement_id_consent_agreements"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_agreement_versions")),
        sa.UniqueConstraint("agreement_id", "version", name=op.f("uq_consent_agreement_versions_agreement_id_version")),
    )
    op.create_index(
        op.f("ix_consent_agreement_versions_agreement_id"), "consent_agreement_versions", ["agreement_id"], unique=False
    )
    op.create_table(
        "consent_records",
        sa.Column("id", Id, nullable=False),
        sa.Column("subject_id", Id, nullable=False),
        sa.Column("subject_ref", sa.String(length=255), nullable=True),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("agency_id", Id, nullable=False),
        sa.Column("purpose_id", Id, nullable=False),
        sa.Column("purpose_version_id", Id, nullable=False),
        sa.Column("agreement_version_id", Id, nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("granted", Json, nullable=False),
        sa.Column("refused", Json, nullable=False),
        sa.Column("offline_access", sa.Boolean(), nullable=False),
        sa.Column("fetch_type", sa.String(length=20), nullable=False),
        sa.Column("use_limit", sa.Integer(), nullable=True),
        sa.Column("use_window_days", sa.Integer(), nullable=True),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("window_started_at", UtcDateTime, nullable=True),
        sa.Column("representative_id", Id, nullable=True),
        sa.Column("mandate_id", Id, nullable=True),
        sa.Column("decided_at", UtcDateTime, nullable=False),
        sa.Column("valid_until", UtcDateTime, nullable=True),
        sa.Column("ended_at", UtcDateTime, nullable=True),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.Column("erased_at", UtcDateTime, nullable=True),
        sa.CheckConstraint("fetch_type IN ('onetime', 'periodic')", name=op.f("ck_consent_records_fetch_type")),
        sa.CheckConstraint(
            "status IN ('requested', 'given', 'renewed', 'paused', 'refused', 'withdrawn', 'expired', 'superseded', "
            "'revoked', 'invalidated', 'unknown')",
            name=op.f("ck_consent_records_status"),
        ),
        sa.ForeignKeyConstraint(
            ["agreement_version_id"],
            ["consent_agreement_versions.id"],
            name=op.f("fk_consent_records_agreement_version_id_consent_agreement_versions"),
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
        op.f("ix_consent_records_agreement_version_id"), "consent_records", ["agreement_version_id"], unique=False
    )
    op.create_index(
        "ix_consent_records_client",
        "consent_records",
        ["client_id", "id"],
        unique=False,
        postgresql_where=sa.text("status IN ('given', 'renewed', 'paused')"),
        sqlite_where=sa.text("status IN ('given', 'renewed', 'paused')"),
    )
    op.create_index(
        "ix_consent_records_due",
        "consent_records",
        ["valid_until"],
        unique=False,
        postgresql_where=sa.text("status IN ('given', 'renewed', 'paused')"),
        sqlite_where=sa.text("status IN ('given', 'renewed', 'paused')"),
    )
    op.create_index(
        "ix_consent_records_ending",
        "consent_records",
        ["purpose_version_id", "id"],
        unique=False,
        postgresql_where=sa.text("status IN ('given', 'renewed', 'paused')"),
        sqlite_where=sa.text("status IN ('given', 'renewed', 'paused')"),
    )
    op.create_index(op.f("ix_consent_records_subject_id"), "consent_records", ["subject_id"], unique=False)
    op.create_index(
        "ix_consent_records_subject_ref", "consent_records", ["subject_ref", "client_id", "purpose_id"], unique=False
    )
    op.create_index(
        "uq_consent_records_current",
        "consent_records",
        ["subject_id", "client_id", "purpose_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('given', 'renewed', 'paused')"),
        sqlite_where=sa.text("status IN ('given', 'renewed', 'paused')"),
    )
    op.create_table(
        "consent_events",
        sa.Column("id", Id, nullable=False),
        sa.Column("consent_id", Id, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("subject_id", Id, nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("agency_id", Id, nullable=False),
        sa.Column("purpose_id", Id, nullable=False),
        sa.Column("purpose_version_id", Id, nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=True),
        sa.Column("text_sha256", sa.LargeBinary(length=32), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint(
            "kind IN ('requested', 'granted', 'refused', 'renewed', 'changed', 'paused', 'resumed', 'withdrawn', "
            "'revoked', 'invalidated', 'expired', 'superseded')",
            name=op.f("ck_consent_events_kind"),
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
    _alter_what_stays()


def _alter_what_stays() -> None:
    with op.batch_alter_table("consent_agencies") as table:
        table.add_column(sa.Column("address", sa.String(length=500), nullable=True))
        table.add_column(sa.Column("email", sa.String(length=300), nullable=True))
        table.add_column(sa.Column("phone", sa.String(length=50), nullable=True))
        table.add_column(sa.Column("party_type", sa.String(length=40), nullable=False, server_default="government"))
    with op.batch_alter_table("consent_agencies") as table:
        table.alter_column("party_type", server_default=None)
    with op.batch_alter_table("consent_purpose_versions") as table:
        table.add_column(sa.Column("fetch_type", sa.String(length=20), nullable=False, server_default="periodic"))
        table.add_column(sa.Column("use_limit", sa.Integer(), nullable=True))
        table.add_column(sa.Column("use_window_days", sa.Integer(), nullable=True))
        table.add_column(sa.Column("terms", Json, nullable=False, server_default=sa.text("'{}'")))
        table.add_column(sa.Column("compatible_with", Json, nullable=False, server_default=sa.text("'[]'")))
        table.add_column(sa.Column("status", sa.String(length=20), nullable=False, server_default="active"))
        table.add_column(sa.Column("activated_at", UtcDateTime, nullable=True))
        table.add_column(sa.Column("ended_at", UtcDateTime, nullable=True))
    # What was in use stays in use: the newest version of each purpose, and the earlier ones behind it.
    op.execute(
        "UPDATE consent_purpose_versions SET status = 'superseded' WHERE version < (SELECT max(newer.version) "
        "FROM consent_purpose_versions AS newer WHERE newer.purpose_id = consent_purpose_versions.purpose_id)"
    )
    with op.batch_alter_table("consent_purpose_versions") as table:
        for column in ("fetch_type", "terms", "compatible_with", "status"):
            table.alter_column(column, server_default=None)
        table.create_check_constraint(
            op.f("ck_consent_purpose_versions_status"),
            "status IN ('draft', 'proposed', 'active', 'superseded', 'rejected', 'ended')",
        )
        table.create_check_constraint(
            op.f("ck_consent_purpose_versions_fetch_type"), "fetch_type IN ('onetime', 'periodic')"
        )
    with op.batch_alter_table("consent_officer_actions") as table:
        table.add_column(sa.Column("subject_id", Id, nullable=True))
        table.add_column(sa.Column("reason", sa.String(length=500), nullable=True))
        table.drop_constraint(op.f("ck_consent_officer_actions_action"), type_="check")
        table.create_check_constraint(
            op.f("ck_consent_officer_actions_action"), "action IN ('list', 'open', 'export', 'find', 'act')"
        )
        table.create_index(op.f("ix_consent_officer_actions_subject_id"), ["subject_id"])
    # Officers of a second kind: who writes down what people say at a counter need not see everybody's consents.
    with op.batch_alter_table("idp_roles") as table:
        table.drop_constraint(op.f("ck_idp_roles_role"), type_="check")
        table.create_check_constraint(op.f("ck_idp_roles_role"), "role IN ('privacy_officer', 'assisting_officer')")


def _refuse_what_cannot_be_sealed() -> None:
    """Events of a development version were never committed to: nothing could prove them, so nothing pretends to."""
    if op.get_bind().execute(sa.text("SELECT 1 FROM consent_events LIMIT 1")).first() is not None:
        raise RuntimeError(
            "this database has consents of a development version, from before evidence was sealed; "
            "they cannot be carried over: start with a new database (the demonstration: make clean-demo)"
        )


def downgrade() -> None:
    op.execute("DELETE FROM idp_roles WHERE role = 'assisting_officer'")
    with op.batch_alter_table("idp_roles") as table:
        table.drop_constraint(op.f("ck_idp_roles_role"), type_="check")
        table.create_check_constraint(op.f("ck_idp_roles_role"), "role IN ('privacy_officer')")
    with op.batch_alter_table("consent_officer_actions") as table:
        table.drop_index(op.f("ix_consent_officer_actions_subject_id"))
        table.drop_constraint(op.f("ck_consent_officer_actions_action"), type_="check")
        table.create_check_constraint(op.f("ck_consent_officer_actions_action"), "action IN ('list', 'open', 'export')")
        table.drop_column("reason")
        table.drop_column("subject_id")
    with op.batch_alter_table("consent_purpose_versions") as table:
        table.drop_constraint(op.f("ck_consent_purpose_versions_status"), type_="check")
        table.drop_constraint(op.f("ck_consent_purpose_versions_fetch_type"), type_="check")
        for column in (
            "ended_at",
            "activated_at",
            "status",
            "compatible_with",
            "terms",
            "use_window_days",
            "use_limit",
            "fetch_type",
        ):
            table.drop_column(column)
    with op.batch_alter_table("consent_agencies") as table:
        for column in ("party_type", "phone", "email", "address"):
            table.drop_column(column)
    _refuse_what_cannot_be_sealed()
    for table_name in (
        "consent_events",
        "consent_records",
        "consent_agreement_versions",
        "consent_agreements",
        "consent_registry_events",
        "consent_attributes",
    ):
        op.drop_table(table_name)
    import_module("migrations.versions.0002_consent").records_and_events()
