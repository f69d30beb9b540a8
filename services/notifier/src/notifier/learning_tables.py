"""The ledger's tables of what is learnt and told: the outbox, answers of people, and the confirmations of a STOP."""

import sqlalchemy as sa

from notifier.price_columns import price_columns
from notifier.tables import metadata
from shared.runtime.database import UtcDateTime

ENTRY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A number that the database counts up; SQLite does so for this type alone."""

untold = sa.Table(
    "untold",
    metadata,
    sa.Column("entry", ENTRY, primary_key=True),
    sa.Column("event_id", sa.String(32), nullable=False, unique=True),
    sa.Column("intent_id", sa.String(32), nullable=False),
    sa.Column("correlation_id", sa.String(200)),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)
"""The outbox: what changed and was not told yet, in the order it happened."""

tellers = sa.Table(
    "tellers",
    metadata,
    sa.Column("turn", sa.String(16), primary_key=True),
    sa.Column("holder", sa.String(32), nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
)
"""Which replica tells at the moment."""

replies = sa.Table(
    "replies",
    metadata,
    sa.Column("tenant_id", sa.String(200), primary_key=True),
    sa.Column("phone", sa.String(20), primary_key=True),
    sa.Column("replied_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
)
"""When a person last answered an organisation, and until when a person here took answers as dealt with."""

confirmations = sa.Table(
    "confirmations",
    metadata,
    sa.Column("reference", sa.String(64), primary_key=True),
    sa.Column("phone", sa.String(20), nullable=False),
    sa.Column("said_on", sa.Date, nullable=False),
    sa.Column("said_at", UtcDateTime, nullable=False),
    sa.Column("tenant_id", sa.String(200), nullable=False),
    sa.Column("contact_id", sa.String(200), nullable=False),
    sa.Column("invoice_id", sa.String(200), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("reason", sa.Text),
    sa.Column("details", sa.Text),
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Column("claimed_at", UtcDateTime),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("provider_message_id", sa.String(400), index=True),
    *price_columns(),
    sa.UniqueConstraint("phone", "said_on", name="one_confirmation"),
    sa.Index("confirmations_spent", "tenant_id", "currency", "sent_on", "cost", "estimate", "state"),
)
"""The answers to STOP, each with its one attempt: ``contact_id`` and ``invoice_id`` of what was sent there last."""
