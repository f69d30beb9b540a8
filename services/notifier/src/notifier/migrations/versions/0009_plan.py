"""Who was erased, what a person allowed and refused, and what was planned for each day."""

import sqlalchemy as sa
from alembic import op

from shared.runtime.database import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erased",
        sa.Column("person", sa.String(80), primary_key=True),
        sa.Column("erasure", sa.String(32), nullable=False),
        sa.Column("key_print", sa.String(16), nullable=False),
        sa.Column("erased_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "approvals",
        sa.Column("entry", sa.Integer(), primary_key=True),
        sa.Column("intent_id", sa.String(32), nullable=False),
        sa.Column("tenant_id", sa.String(200), nullable=False),
        sa.Column("released", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("said_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_approvals_intent_id", "approvals", ["intent_id"], unique=False)
    op.create_table(
        "day_plans",
        sa.Column("tenant_id", sa.String(200), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("starts_at", UtcDateTime, nullable=False),
        sa.Column("ends_at", UtcDateTime, nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("compared_at", UtcDateTime),
        sa.Column("comparison", sa.JSON(none_as_null=True)),
    )
    op.create_index("snapshots_read", "snapshots", ["read_at"], unique=False)
    op.create_index("decisions_decided", "decisions", ["decided_at"], unique=False)
