"""The key ring and the named secrets.

Revision ID: 0001
Revises: nothing
"""

import sqlalchemy as sa
from alembic import op

from keys.columns import Json, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "keys_secrets",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_keys_secrets")),
    )
    op.create_table(
        "keys_signing_keys",
        sa.Column("kid", sa.String(length=200), nullable=False),
        sa.Column("alg", sa.String(length=20), nullable=False),
        sa.Column("use", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("public_jwk", Json, nullable=False),
        sa.Column("sealed_private", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("published_at", UtcDateTime, nullable=False),
        sa.Column("signing_since", UtcDateTime, nullable=True),
        sa.Column("verifying_since", UtcDateTime, nullable=True),
        sa.Column("retired_at", UtcDateTime, nullable=True),
        sa.CheckConstraint(
            "sealed_private IS NULL OR state IN ('pending', 'signing')",
            name=op.f("ck_keys_signing_keys_no_private_part_after_signing"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'signing', 'verifying', 'retired')", name=op.f("ck_keys_signing_keys_state")
        ),
        sa.CheckConstraint("use = 'sig'", name=op.f("ck_keys_signing_keys_use")),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_keys_signing_keys")),
    )
    op.create_index(
        "uq_keys_signing_keys_alg_state",
        "keys_signing_keys",
        ["alg", "state"],
        unique=True,
        postgresql_where=sa.text("state IN ('pending', 'signing')"),
        sqlite_where=sa.text("state IN ('pending', 'signing')"),
    )


def downgrade() -> None:
    op.drop_table("keys_signing_keys")
    op.drop_table("keys_secrets")
