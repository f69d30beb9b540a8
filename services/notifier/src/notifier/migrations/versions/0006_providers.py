"""Which sender made an attempt, and with which provider."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("sender", sa.String(32), nullable=False, server_default="default"))
    op.add_column("attempts", sa.Column("provider", sa.String(16), nullable=False, server_default="meta"))
