"""What the business account says of its templates."""

import sqlalchemy as sa
from alembic import op

from shared.runtime.database import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_templates",
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(512), primary_key=True),
        sa.Column("language", sa.String(16), primary_key=True),
        sa.Column("status", sa.String(32)),
        sa.Column("category", sa.String(32)),
        sa.Column("parameters", sa.JSON(none_as_null=True)),
        sa.Column("quality", sa.String(32)),
        sa.Column("heard_at", UtcDateTime),
    )
    op.create_table(
        "account_listings",
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("listed_at", UtcDateTime, nullable=False),
    )
