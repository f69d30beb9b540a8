"""The ledger's tables: what was seen, what is to be said, what was tried, what was decided and who wants none of it."""

import sqlalchemy as sa

from notifier.price_columns import price_columns
from shared.runtime.database import UtcDateTime

metadata = sa.MetaData()

NO_STAGE = -32768
"""Stands for "no stage" in keys, because SQL holds two NULLs for different."""

WAITS_UNRELEASED = sa.text("state = 'planned' AND released_at IS NULL")
HELD_BY_CEILING = sa.text("state = 'held' AND reason = 'ceiling'")
"""Conditions on intents that an index is made of, and so written out wherever it is to be used."""
TRIED_AGAIN = sa.text("(tries > 1 OR resent_at IS NOT NULL)")
"""Of an intent: what alone may have arrived more than once. Literal, so that the index over it is used."""

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
    sa.Index("snapshots_read", "read_at"),
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
    sa.Column("waits_for", sa.String(540)),
    sa.Column("weight", sa.Float),
    sa.Column("resent_at", UtcDateTime),
    sa.Column("correlation_id", sa.String(200)),
    sa.Column("gathers", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("statement", sa.String(64)),
    sa.Column("statement_of", sa.Integer),
    sa.UniqueConstraint("tenant_id", "invoice_id", "kind", "stage", name="one_intent"),
    sa.Index("intents_due", "state", "due_at"),
    sa.Index("intents_of_contact", "tenant_id", "contact_id", "kind"),
    sa.Index("intents_of_phone", "phone", "state"),
    sa.Index("intents_of_number", "tenant_id", "phone", "kind"),
    sa.Index("intents_of_tenant", "tenant_id", "state", "released_at", "due_at"),
    sa.Index("intents_waiting", "due_at", postgresql_where=WAITS_UNRELEASED, sqlite_where=WAITS_UNRELEASED),
    sa.Index("intents_ceiling", "changed_at", postgresql_where=HELD_BY_CEILING, sqlite_where=HELD_BY_CEILING),
    sa.Index(
        "intents_gathering",
        "tenant_id",
        "state",
        "due_at",
        postgresql_where=sa.text("gathers"),
        sqlite_where=sa.text("gathers = 1"),
    ),
    sa.Index("intents_tried_again", "intent_id", sqlite_where=TRIED_AGAIN, postgresql_where=TRIED_AGAIN),
)
"""``gathers`` marks a reminder that is to leave with others of its contact; ``statement`` is the attempt in which it
did last, ``statement_of`` how many they were."""

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
    sa.Column("heard_at", UtcDateTime),
    sa.Column("released", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("number", sa.String(64), nullable=False, server_default=""),
    sa.Column("as_marketing", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("sender", sa.String(32), nullable=False, server_default="default"),
    sa.Column("provider", sa.String(16), nullable=False, server_default="meta"),
    sa.Column("provider_message_id", sa.String(400), index=True),
    sa.Column("error_code", sa.Integer),
    sa.Column("error_class", sa.String(16)),
    sa.Column("details", sa.Text),
    *price_columns(),
    sa.Index("attempts_of_tenant", "tenant_id", "started_at"),
    sa.Index("attempts_to_phone", "phone", "started_at"),
    sa.Index("attempts_spent", "tenant_id", "currency", "sent_on", "cost", "estimate", "outcome", "failed_at"),
)

statement_intents = sa.Table(
    "statement_intents",
    metadata,
    sa.Column("reference", sa.String(64), sa.ForeignKey("attempts.reference", ondelete="CASCADE"), primary_key=True),
    sa.Column("intent_id", sa.String(32), sa.ForeignKey("intents.intent_id", ondelete="CASCADE"), primary_key=True),
    sa.Index("statements_of_intent", "intent_id"),
)
"""All the intents of an attempt that was a statement, the one that the attempt names among them."""

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
    sa.Index("decisions_decided", "decided_at"),
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
    sa.Column("details", sa.Text),
    sa.Column("pricing", sa.JSON(none_as_null=True)),
    sa.Column("received_at", UtcDateTime, nullable=False, index=True),
)

switches = sa.Table(
    "switches",
    metadata,
    sa.Column("entry", sa.Integer, primary_key=True),
    sa.Column("scope", sa.String(200), nullable=False, index=True),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("said_by", sa.Text, nullable=False),
    sa.Column("said_at", UtcDateTime, nullable=False),
)
"""Who paused and resumed what, and when; of each scope (an organisation, or ``*`` for all) the newest entry counts."""

breakers = sa.Table(
    "breakers",
    metadata,
    sa.Column("scope", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(512), primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("details", sa.Text),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("probe_at", UtcDateTime, nullable=False),
    sa.Column("probe", sa.String(64)),
    sa.Column("by_status", sa.Boolean, nullable=False),
)
"""Those that are open. ``probe`` is the attempt that tries whether one may close; ``by_status``: its status tells."""

recipients = sa.Table(
    "recipients",
    metadata,
    sa.Column("phone", sa.String(20), primary_key=True),
    sa.Column("claimed_at", UtcDateTime, nullable=False, index=True),
)
"""When a message to each number was claimed last."""

numbers = sa.Table(
    "numbers",
    metadata,
    sa.Column("number", sa.String(64), primary_key=True),
    sa.Column("next_at", UtcDateTime, nullable=False),
)
"""When each sending number's next message is due by its pace alone."""

sent_hours = sa.Table(
    "sent_hours",
    metadata,
    sa.Column("tenant_id", sa.String(200), primary_key=True),
    sa.Column("hour", UtcDateTime, primary_key=True),
    sa.Column("messages", sa.Integer, nullable=False),
)
"""How many messages of an organisation left, or may have, in each hour, by which its usual is known."""

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

erased = sa.Table(
    "erased",
    metadata,
    sa.Column("person", sa.String(80), primary_key=True),
    sa.Column("erasure", sa.String(32), nullable=False),
    sa.Column("key_print", sa.String(16), nullable=False),
    sa.Column("erased_at", UtcDateTime, nullable=False),
)
"""By what an erased person is known again: keyed hashes. ``erasure`` is the same for all of one person."""

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("entry", sa.Integer, primary_key=True),
    sa.Column("intent_id", sa.String(32), nullable=False, index=True),
    sa.Column("tenant_id", sa.String(200), nullable=False),
    sa.Column("released", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("said_by", sa.Text, nullable=False),
    sa.Column("said_at", UtcDateTime, nullable=False),
)
"""Who let a held message go, or refused it, when, and for what it was held."""

day_plans = sa.Table(
    "day_plans",
    metadata,
    sa.Column("tenant_id", sa.String(200), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("starts_at", UtcDateTime, nullable=False),
    sa.Column("ends_at", UtcDateTime, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("compared_at", UtcDateTime),
    sa.Column("comparison", sa.JSON(none_as_null=True)),
)
"""What was to happen on an organisation's day, and, once it is over, how what happened differs from it."""
