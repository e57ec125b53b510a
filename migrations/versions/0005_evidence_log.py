"""Evidence: people's keys, the log, the record of use, and the clock of withdrawals.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

from keys.columns import Id, Json, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consent_person_keys",
        sa.Column("subject_id", Id, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("destroyed_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_consent_person_keys")),
    )
    op.create_table(
        "consent_log_entries",
        sa.Column("id", Id, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_log_entries")),
        sa.UniqueConstraint("log_index", name=op.f("uq_consent_log_entries_log_index")),
        postgresql_with={"autovacuum_vacuum_scale_factor": "0.01"},
    )
    op.create_index(
        "ix_consent_log_entries_waiting",
        "consent_log_entries",
        ["id"],
        unique=False,
        postgresql_where=sa.text("log_index IS NULL"),
        sqlite_where=sa.text("log_index IS NULL"),
    )
    op.create_table(
        "consent_log_tiles",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "number", name=op.f("pk_consent_log_tiles")),
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0.01",
            "toast.autovacuum_vacuum_scale_factor": "0.01",
        },
    )
    op.create_table(
        "consent_log_checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at", UtcDateTime, nullable=False),
        sa.Column("cosigned_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_consent_log_checkpoints")),
    )
    op.create_index("ix_consent_log_checkpoints_signed_at", "consent_log_checkpoints", ["signed_at"], unique=False)
    op.create_index(
        "ix_consent_log_checkpoints_cosigned",
        "consent_log_checkpoints",
        ["size"],
        unique=False,
        postgresql_where=sa.text("cosigned_at IS NOT NULL"),
        sqlite_where=sa.text("cosigned_at IS NOT NULL"),
    )
    op.create_table(
        "consent_log_heads",
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("halted", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_consent_log_heads")),
    )
    op.create_table(
        "consent_use_batches",
        sa.Column("id", Id, nullable=False),
        sa.Column("agency_id", Id, nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("answer", Json, nullable=False),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_use_batches")),
        sa.UniqueConstraint(
            "agency_id", "idempotency_key", name=op.f("uq_consent_use_batches_agency_id_idempotency_key")
        ),
    )
    op.create_table(
        "consent_uses",
        sa.Column("id", Id, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("subject_id", Id, nullable=False),
        sa.Column("consent_id", Id, nullable=True),
        sa.Column("purpose_version_id", Id, nullable=True),
        sa.Column("agency_id", Id, nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=True),
        sa.Column("provider_agency_id", Id, nullable=True),
        sa.Column("evidence", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("legal_basis", sa.String(length=40), nullable=False),
        sa.Column("visible_from", UtcDateTime, nullable=True),
        sa.Column("delay_basis", sa.String(length=500), nullable=True),
        sa.Column("batch_id", Id, nullable=True),
        sa.Column("reference", sa.String(length=200), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("evidence IN ('observed', 'reported')", name=op.f("ck_consent_uses_evidence")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["consent_use_batches.id"], name=op.f("fk_consent_uses_batch_id_consent_use_batches")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_uses")),
        sa.UniqueConstraint(
            "provider_agency_id", "reference", name=op.f("uq_consent_uses_provider_agency_id_reference")
        ),
    )
    op.create_index("ix_consent_uses_agency_at", "consent_uses", ["agency_id", "at", "id"], unique=False)
    op.create_index(op.f("ix_consent_uses_batch_id"), "consent_uses", ["batch_id"], unique=False)
    op.create_index("ix_consent_uses_client_at", "consent_uses", ["client_id", "at", "id"], unique=False)
    op.create_index(op.f("ix_consent_uses_consent_id"), "consent_uses", ["consent_id"], unique=False)
    op.create_index("ix_consent_uses_subject_at", "consent_uses", ["subject_id", "at", "id"], unique=False)
    op.create_index("ix_consent_uses_visible_from", "consent_uses", ["visible_from"], unique=False)
    op.create_table(
        "consent_use_delays",
        sa.Column("id", Id, nullable=False),
        sa.Column("use_id", Id, nullable=False),
        sa.Column("subject_id", Id, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("visible_from", UtcDateTime, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["use_id"], ["consent_uses.id"], name=op.f("fk_consent_use_delays_use_id_consent_uses")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_use_delays")),
    )
    op.create_index(op.f("ix_consent_use_delays_use_id"), "consent_use_delays", ["use_id"], unique=False)
    op.create_index(op.f("ix_consent_use_delays_subject_id"), "consent_use_delays", ["subject_id"], unique=False)
    op.create_table(
        "consent_expected_uses",
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("provider_agency_id", Id, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("agency_id", Id, nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("consent_id", Id, nullable=True),
        sa.Column("reported_at", UtcDateTime, nullable=True),
        sa.CheckConstraint("kind IN ('token', 'check')", name=op.f("ck_consent_expected_uses_kind")),
        sa.PrimaryKeyConstraint("reference", "provider_agency_id", name=op.f("pk_consent_expected_uses")),
    )
    op.create_index(
        "ix_consent_expected_uses_provider_at", "consent_expected_uses", ["provider_agency_id", "at"], unique=False
    )
    op.create_index("ix_consent_expected_uses_at", "consent_expected_uses", ["at"], unique=False)
    op.create_table(
        "consent_streams",
        sa.Column("id", Id, nullable=False),
        sa.Column("agency_id", Id, nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("delivery", sa.String(length=10), nullable=False),
        sa.Column("endpoint", sa.String(length=2000), nullable=True),
        sa.Column("authorization", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("rests_until", UtcDateTime, nullable=True),
        sa.Column("last_error", sa.String(length=500), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("delivery IN ('push', 'poll')", name=op.f("ck_consent_streams_delivery")),
        sa.CheckConstraint("status IN ('enabled', 'paused')", name=op.f("ck_consent_streams_status")),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["consent_agencies.id"], name=op.f("fk_consent_streams_agency_id_consent_agencies")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_streams")),
        sa.UniqueConstraint("agency_id", "client_id", name=op.f("uq_consent_streams_agency_id_client_id")),
    )
    op.create_table(
        "consent_deliveries",
        sa.Column("id", Id, nullable=False),
        sa.Column("event_id", Id, nullable=False),
        sa.Column("consent_id", Id, nullable=False),
        sa.Column("agency_id", Id, nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("items", Json, nullable=False),
        sa.Column("awaits", sa.String(length=20), nullable=False),
        sa.Column("jti", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("next_attempt_at", UtcDateTime, nullable=True),
        sa.Column("claimed_until", UtcDateTime, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=500), nullable=True),
        sa.Column("sent_at", UtcDateTime, nullable=True),
        sa.Column("acknowledged_at", UtcDateTime, nullable=True),
        sa.Column("stopped_at", UtcDateTime, nullable=True),
        sa.Column("erased_at", UtcDateTime, nullable=True),
        sa.Column("closed_at", UtcDateTime, nullable=True),
        sa.Column("contradicted_at", UtcDateTime, nullable=True),
        sa.Column("contradicted_by", Id, nullable=True),
        sa.Column("compared_at", UtcDateTime, nullable=True),
        sa.Column("escalation", sa.String(length=10), nullable=False),
        sa.Column("escalated_at", UtcDateTime, nullable=True),
        sa.CheckConstraint(
            "awaits IN ('acknowledged', 'stopped', 'erased')", name=op.f("ck_consent_deliveries_awaits")
        ),
        sa.CheckConstraint(
            "escalation IN ('none', 'amber', 'red', 'breach')", name=op.f("ck_consent_deliveries_escalation")
        ),
        sa.CheckConstraint("role IN ('recipient', 'provider')", name=op.f("ck_consent_deliveries_role")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["consent_events.id"], name=op.f("fk_consent_deliveries_event_id_consent_events")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_deliveries")),
        sa.UniqueConstraint(
            "event_id",
            "agency_id",
            "client_id",
            "role",
            name=op.f("uq_consent_deliveries_event_id_agency_id_client_id_role"),
        ),
        sa.UniqueConstraint("jti", name=op.f("uq_consent_deliveries_jti")),
    )
    op.create_index(op.f("ix_consent_deliveries_agency_id"), "consent_deliveries", ["agency_id"], unique=False)
    op.create_index(op.f("ix_consent_deliveries_client_id"), "consent_deliveries", ["client_id"], unique=False)
    op.create_index(op.f("ix_consent_deliveries_consent_id"), "consent_deliveries", ["consent_id"], unique=False)
    op.create_index(
        "ix_consent_deliveries_next",
        "consent_deliveries",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
        sqlite_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_index(
        "ix_consent_deliveries_open",
        "consent_deliveries",
        ["due_at", "id"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL"),
        sqlite_where=sa.text("closed_at IS NULL"),
    )
    op.create_index(
        "ix_consent_deliveries_closed",
        "consent_deliveries",
        ["closed_at", "id"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NOT NULL"),
        sqlite_where=sa.text("closed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_consent_deliveries_clock",
        "consent_deliveries",
        ["escalation", "due_at"],
        unique=False,
        postgresql_where=sa.text("stopped_at IS NULL AND closed_at IS NULL"),
        sqlite_where=sa.text("stopped_at IS NULL AND closed_at IS NULL"),
    )
    op.create_index(
        "ix_consent_deliveries_unsent",
        "consent_deliveries",
        ["agency_id", "client_id", "id"],
        unique=False,
        postgresql_where=sa.text("sent_at IS NULL AND closed_at IS NULL"),
        sqlite_where=sa.text("sent_at IS NULL AND closed_at IS NULL"),
    )
    op.create_table(
        "consent_attestations",
        sa.Column("id", Id, nullable=False),
        sa.Column("delivery_id", Id, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('acknowledged', 'stopped', 'erased')", name=op.f("ck_consent_attestations_state")
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["consent_deliveries.id"],
            name=op.f("fk_consent_attestations_delivery_id_consent_deliveries"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_attestations")),
        sa.UniqueConstraint("delivery_id", "state", name=op.f("uq_consent_attestations_delivery_id_state")),
    )
    op.create_index(
        "ix_consent_deliveries_compared",
        "consent_deliveries",
        ["compared_at"],
        unique=False,
        postgresql_where=sa.text("stopped_at IS NOT NULL AND contradicted_at IS NULL"),
        sqlite_where=sa.text("stopped_at IS NOT NULL AND contradicted_at IS NULL"),
    )
    op.create_table(
        "consent_escalations",
        sa.Column("id", Id, nullable=False),
        sa.Column("delivery_id", Id, nullable=False),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "level IN ('amber', 'red', 'breach', 'contradicted')", name=op.f("ck_consent_escalations_level")
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["consent_deliveries.id"],
            name=op.f("fk_consent_escalations_delivery_id_consent_deliveries"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_escalations")),
        sa.UniqueConstraint("delivery_id", "level", name=op.f("uq_consent_escalations_delivery_id_level")),
    )
    op.create_index("ix_consent_escalations_at", "consent_escalations", ["at", "id"], unique=False)
    op.create_table(
        "consent_endings",
        sa.Column("id", Id, nullable=False),
        sa.Column("object_kind", sa.String(length=20), nullable=False),
        sa.Column("object_id", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("preview", Json, nullable=False),
        sa.Column("proposed_by", Json, nullable=False),
        sa.Column("approved_by", Json, nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=True),
        sa.Column("finished_at", UtcDateTime, nullable=True),
        sa.CheckConstraint(
            "object_kind IN ('agency', 'purpose_version', 'agreement_version', 'client')",
            name=op.f("ck_consent_endings_kind"),
        ),
        sa.CheckConstraint(
            "status IN ('proposed', 'running', 'done', 'rejected')", name=op.f("ck_consent_endings_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_endings")),
    )
    op.create_index(op.f("ix_consent_endings_object_id"), "consent_endings", ["object_id"], unique=False)


def downgrade() -> None:
    op.drop_table("consent_endings")
    op.drop_table("consent_escalations")
    op.drop_table("consent_attestations")
    op.drop_table("consent_deliveries")
    op.drop_table("consent_streams")
    op.drop_table("consent_expected_uses")
    op.drop_table("consent_use_delays")
    op.drop_table("consent_uses")
    op.drop_table("consent_use_batches")
    op.drop_table("consent_log_heads")
    op.drop_table("consent_log_checkpoints")
    op.drop_table("consent_log_tiles")
    op.drop_table("consent_log_entries")
    op.drop_table("consent_person_keys")
