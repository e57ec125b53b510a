"""Policies, as the GovStack API has them.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

from keys.columns import Id, Json, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consent_policy_revisions",
        sa.Column("id", Id, nullable=False),
        sa.Column("policy_id", Id, nullable=False),
        sa.Column("agency_id", Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", Json, nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("previous_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["consent_agencies.id"], name=op.f("fk_consent_policy_revisions_agency_id_consent_agencies")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_policy_revisions")),
        sa.UniqueConstraint("policy_id", "number", name=op.f("uq_consent_policy_revisions_policy_id_number")),
    )
    op.create_index(
        "ix_consent_policy_revisions_agency", "consent_policy_revisions", ["agency_id", "policy_id", "number"]
    )


def downgrade() -> None:
    op.drop_table("consent_policy_revisions")
