"""What is to be told, what messages cost, who answered, and the answers to STOP."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from shared.runtime.database import Millionths, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ENTRY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _price() -> list[sa.Column[Any]]:
    return [
        sa.Column("sent_on", sa.Date()),
        sa.Column("market", sa.String(2)),
        sa.Column("currency", sa.String(3)),
        sa.Column("estimate", Millionths),
        sa.Column("category", sa.String(64)),
        sa.Column("pricing_type", sa.String(64)),
        sa.Column("billable", sa.Boolean()),
        sa.Column("arrived_at", UtcDateTime),
        sa.Column("cost", Millionths),
    ]


def upgrade() -> None:
    for column in _price():
        op.add_column("attempts", column)
    op.execute("UPDATE attempts SET sent_on = date(started_at)")
    op.add_column("early_statuses", sa.Column("details", sa.Text()))
    op.add_column("early_statuses", sa.Column("pricing", sa.JSON(none_as_null=True)))
    op.create_table(
        "untold",
        sa.Column("entry", _ENTRY, primary_key=True),
        sa.Column("event_id", sa.String(32), nullable=False, unique=True),
        sa.Column("intent_id", sa.String(32), nullable=False),
        sa.Column("correlation_id", sa.String(200)),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "tellers",
        sa.Column("turn", sa.String(16), primary_key=True),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
    )
    op.create_table(
        "replies",
        sa.Column("tenant_id", sa.String(200), primary_key=True),
        sa.Column("phone", sa.String(20), primary_key=True),
        sa.Column("replied_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
    )
    op.create_table(
        "confirmations",
        sa.Column("reference", sa.String(64), primary_key=True),
        sa.Column("phone", sa.String(20), nullable=False),
        sa.Column("said_on", sa.Date(), nullable=False),
        sa.Column("said_at", UtcDateTime, nullable=False),
        sa.Column("tenant_id", sa.String(200), nullable=False),
        sa.Column("contact_id", sa.String(200), nullable=False),
        sa.Column("invoice_id", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("details", sa.Text()),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.Column("claimed_at", UtcDateTime),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("provider_message_id", sa.String(400)),
        *_price(),
        sa.UniqueConstraint("phone", "said_on", name="one_confirmation"),
    )
    op.create_index("ix_confirmations_state", "confirmations", ["state"])
    op.create_index("ix_confirmations_provider_message_id", "confirmations", ["provider_message_id"])
