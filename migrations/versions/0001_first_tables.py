"""The first tables.

Revision ID: 0001
Revises:
"""

from alembic import op

from idp.schema import METADATA

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for metadata in METADATA:
        metadata.create_all(op.get_bind())


def downgrade() -> None:
    for metadata in reversed(METADATA):
        metadata.drop_all(op.get_bind())
