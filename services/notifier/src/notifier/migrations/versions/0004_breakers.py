"""What stops messages: switches, breakers, paces and what is usual."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from shared.runtime.database import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("pauses")
    op.create_table(
        "switches",
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("said_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("entry"),
    )
    op.create_index("ix_switches_scope", "switches", ["scope"], unique=False)
    op.create_table(
        "breakers",
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=512), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", sa.Text()),
        sa.Column("opened_at", UtcDateTime, nullable=False),
        sa.Column("probe_at", UtcDateTime, nullable=False),
        sa.Column("probe", sa.String(length=64)),
        sa.Column("by_status", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name"),
    )
    op.create_table(
        "recipients",
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("claimed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("phone"),
    )
    op.create_index("ix_recipients_claimed_at", "recipients", ["claimed_at"], unique=False)
    op.execute("INSERT INTO recipients (phone, claimed_at) SELECT phone, max(started_at) FROM attempts GROUP BY phone")
    op.create_table(
        "numbers",
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("next_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "sent_hours",
        sa.Column("tenant_id", sa.String(length=200), nullable=False),
        sa.Column("hour", UtcDateTime, nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "hour"),
    )
    _count_the_hours()
    op.add_column("intents", sa.Column("waits_for", sa.String(length=540)))
    op.add_column("intents", sa.Column("weight", sa.Float()))
    op.add_column("intents", sa.Column("resent_at", UtcDateTime))
    op.create_index("intents_of_tenant", "intents", ["tenant_id", "state", "released_at", "due_at"], unique=False)
    op.add_column("attempts", sa.Column("heard_at", UtcDateTime))
    op.add_column("attempts", sa.Column("released", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("attempts", sa.Column("number", sa.String(length=64), nullable=False, server_default=""))


def _count_the_hours() -> None:
    """What is usual is known at once from what left in the last weeks."""
    tried = sa.table("attempts", sa.column("tenant_id"), sa.column("started_at", UtcDateTime), sa.column("outcome"))
    hours = sa.table("sent_hours", sa.column("tenant_id"), sa.column("hour", UtcDateTime), sa.column("messages"))
    lately = sa.select(tried.c.tenant_id, tried.c.started_at).where(
        tried.c.started_at > datetime.now(UTC) - timedelta(days=28),
        sa.func.coalesce(tried.c.outcome, "") != "rejected",
    )
    left = Counter(
        (row.tenant_id, row.started_at.replace(minute=0, second=0, microsecond=0))
        for row in op.get_bind().execute(lately)
    )
    if left:
        op.bulk_insert(
            hours, [{"tenant_id": tenant, "hour": hour, "messages": count} for (tenant, hour), count in left.items()]
        )
