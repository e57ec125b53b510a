"""Keys for receipts; erasures, what they erased, and legal holds; and the indexes by which retention finds its rows.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

from keys.columns import Id, Json, UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Table, index, columns, and of which rows.
INDEXES = (
    ("consent_records", "ix_consent_records_kept", ["ended_at"], "erased_at IS NULL AND ended_at IS NOT NULL"),
    ("consent_records", "ix_consent_records_refused", ["valid_until"], "erased_at IS NULL AND status = 'refused'"),
    ("consent_records", "ix_consent_records_asked", ["id"], "erased_at IS NULL AND status = 'requested'"),
    (
        "consent_records",
        "ix_consent_records_representative_id",
        ["representative_id"],
        "representative_id IS NOT NULL",
    ),
    ("consent_events", "ix_consent_events_text_sha256", ["text_sha256"], "text_sha256 IS NOT NULL"),
    ("consent_officer_actions", "ix_consent_officer_actions_named", ["at"], "subject_id IS NOT NULL"),
    ("consent_holds", "ix_consent_holds_standing", ["subject_id"], "lifted_at IS NULL"),
)


def upgrade() -> None:
    op.create_table(
        "consent_receipt_keys",
        sa.Column("kid", sa.String(length=200), nullable=False),
        sa.Column("public_jwk", Json, nullable=False),
        sa.Column("sealed_private", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("replaced_at", UtcDateTime, nullable=True),
        sa.Column("revoked_at", UtcDateTime, nullable=True),
        sa.CheckConstraint(
            "sealed_private IS NULL OR replaced_at IS NULL",
            name=op.f("ck_consent_receipt_keys_no_private_part_after_signing"),
        ),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_consent_receipt_keys")),
    )
    op.create_table(
        "consent_erasures",
        sa.Column("id", Id, nullable=False),
        sa.Column("subject_id", Id, nullable=True),
        sa.Column("basis", sa.String(length=20), nullable=False),
        sa.Column("citation", sa.String(length=500), nullable=True),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("requested_at", UtcDateTime, nullable=False),
        sa.Column("wait_until", UtcDateTime, nullable=False),
        sa.Column("destroyed_at", UtcDateTime, nullable=True),
        sa.Column("finished_at", UtcDateTime, nullable=True),
        sa.CheckConstraint("basis IN ('request', 'order')", name=op.f("ck_consent_erasures_basis")),
        sa.CheckConstraint(
            "finished_at IS NULL OR subject_id IS NULL", name=op.f("ck_consent_erasures_finished_names_nobody")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_erasures")),
    )
    op.create_index(
        "uq_consent_erasures_open",
        "consent_erasures",
        ["subject_id"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
        sqlite_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "consent_erasure_entries",
        sa.Column("id", Id, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("rule", sa.String(length=60), nullable=False),
        sa.Column("before", UtcDateTime, nullable=True),
        sa.Column("rows", Json, nullable=False),
        sa.Column("erasure_id", Id, nullable=True),
        sa.Column("citation", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_erasure_entries")),
    )
    op.create_index("ix_consent_erasure_entries_rule", "consent_erasure_entries", ["rule", "before"], unique=False)
    op.create_table(
        "consent_holds",
        sa.Column("id", Id, nullable=False),
        sa.Column("subject_id", Id, nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("citation", sa.String(length=500), nullable=False),
        sa.Column("placed_by", sa.String(length=200), nullable=False),
        sa.Column("placed_at", UtcDateTime, nullable=False),
        sa.Column("lifted_by", sa.String(length=200), nullable=True),
        sa.Column("lifted_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_holds")),
    )
    for table, name, columns, rows in INDEXES:
        op.create_index(name, table, columns, unique=False, postgresql_where=sa.text(rows), sqlite_where=sa.text(rows))


def downgrade() -> None:
    for table, name, _columns, _rows in reversed(INDEXES):
        op.drop_index(name, table_name=table)
    op.drop_table("consent_holds")
    op.drop_index("ix_consent_erasure_entries_rule", table_name="consent_erasure_entries")
    op.drop_table("consent_erasure_entries")
    op.drop_index("uq_consent_erasures_open", table_name="consent_erasures")
    op.drop_table("consent_erasures")
    op.drop_table("consent_receipt_keys")
