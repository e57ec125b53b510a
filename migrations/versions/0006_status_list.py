"""A place on a status list for each access token.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

from keys.columns import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idp_status_blocks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("reserved_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idp_status_blocks")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_idp_status_blocks_expires_at", "idp_status_blocks", ["expires_at"], unique=False)
    op.add_column("idp_access_tokens", sa.Column("status_position", sa.BigInteger(), nullable=True))
    op.create_index("ix_idp_access_tokens_status_position", "idp_access_tokens", ["status_position"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_idp_access_tokens_status_position", table_name="idp_access_tokens")
    with op.batch_alter_table("idp_access_tokens") as table:
        table.drop_column("status_position")
    op.drop_index("ix_idp_status_blocks_expires_at", table_name="idp_status_blocks")
    op.drop_table("idp_status_blocks")
