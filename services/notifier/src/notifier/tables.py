"""The ledger's tables: what was seen, what is to be said, what was tried, what was decided and who wants none of it."""

import sqlalchemy as sa

from shared.runtime.database import UtcDateTime

metadata = sa.MetaData()

NO_STAGE = -32768
"""Stands for "no stage" in keys, because SQL holds two NULLs for different."""

tenants = sa.Table(
    "tenants",
    metadata,
    sa.Column("tenant_id", sa.String(200), primary_key=True),
    sa.Column("connected_at", UtcDateTime, nullable=False),
    sa.Column("announced", sa.Boolean, nullable=False),
    sa.Column("lost_at", UtcDateTime),
    sa.Column("heard_at", UtcDateTime),
    sa.Column("braked_at", UtcDateTime),
)

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("tenant_id", sa.String(200), primary_key=True),
    sa.Column("invoice_id", sa.String(200), primary_key=True),
    sa.Column("read_at", UtcDateTime, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

intents = sa.Table(
    "intents",
    metadata,
    sa.Column("intent_id", sa.String(32), primary_key=True),
    sa.Column("tenant_id", sa.String(200), nullable=False),
    sa.Column("invoice_id", sa.String(200), nullable=False),
    sa.Column("invoice_number", sa.Text, nullable=False),
    sa.Column("contact_id", sa.String(200), nullable=False),
    sa.Column("phone", sa.String(20)),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("stage", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("due_on", sa.Date),
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Column("claimed_at", UtcDateTime),
    sa.Column("released_at", UtcDateTime),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("looks", sa.Integer, nullable=False),
    sa.Column("look_after", UtcDateTime),
    sa.Column("link_until", UtcDateTime),
    sa.Column("correlation_id", sa.String(200)),
    sa.UniqueConstraint("tenant_id", "invoice_id", "kind", "stage", name="one_intent"),
    sa.Index("intents_due", "state", "due_at"),
    sa.Index("intents_of_contact", "tenant_id", "contact_id", "kind"),
    sa.Index("intents_of_phone", "phone", "state"),
    sa.Index("intents_of_number", "tenant_id", "phone", "kind"),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("reference", sa.String(64), primary_key=True),
    sa.Column("intent_id", sa.String(32), sa.ForeignKey("intents.intent_id"), nullable=False, index=True),
    sa.Column("tenant_id", sa.String(200), nullable=False),
    sa.Column("phone", sa.String(20), nullable=False),
    sa.Column("whatsapp_phone", sa.String(20), index=True),
    sa.Column("person_user_id", sa.String(200), index=True),
    sa.Column("template", sa.Text, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False, index=True),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("outcome", sa.String(16)),
    sa.Column("failed_at", UtcDateTime),
    sa.Column("provider_message_id", sa.String(400), index=True),
    sa.Column("error_code", sa.Integer),
    sa.Column("error_class", sa.String(16)),
    sa.Column("details", sa.Text),
    sa.Index("attempts_of_tenant", "tenant_id", "started_at"),
    sa.Index("attempts_to_phone", "phone", "started_at"),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("tenant_id", sa.String(200), primary_key=True),
    sa.Column("invoice_id", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("stage", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("invoice_number", sa.Text, nullable=False),
    sa.Column("contact_id", sa.String(200), nullable=False),
    sa.Column("due_on", sa.Date),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("due_at", UtcDateTime),
    sa.Column("decided_at", UtcDateTime, nullable=False),
)

opt_outs = sa.Table(
    "opt_outs",
    metadata,
    sa.Column("person", sa.String(200), primary_key=True),
    sa.Column("opted_out", sa.Boolean, nullable=False),
    sa.Column("said_at", UtcDateTime, nullable=False),
)

early_statuses = sa.Table(
    "early_statuses",
    metadata,
    sa.Column("provider_message_id", sa.String(400), primary_key=True),
    sa.Column("state", sa.String(16), primary_key=True),
    sa.Column("error_code", sa.Integer),
    sa.Column("received_at", UtcDateTime, nullable=False, index=True),
)

pauses = sa.Table(
    "pauses",
    metadata,
    sa.Column("scope", sa.String(64), primary_key=True),
    sa.Column("until", UtcDateTime, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

account_templates = sa.Table(
    "account_templates",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(512), primary_key=True),
    sa.Column("language", sa.String(16), primary_key=True),
    sa.Column("status", sa.String(32)),
    sa.Column("category", sa.String(32)),
    sa.Column("parameters", sa.JSON(none_as_null=True)),
    sa.Column("quality", sa.String(32)),
    sa.Column("heard_at", UtcDateTime),
)
"""``heard_at`` is when the last webhook about it happened; None when only the account's list told of it."""

account_listings = sa.Table(
    "account_listings",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("listed_at", UtcDateTime, nullable=False),
)
"""The accounts whose list of templates is known whole, so that what is not in it is missing."""
