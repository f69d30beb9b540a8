"""The ledger."""

import sqlalchemy as sa
from alembic import op

from shared.runtime.database import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("tenant_id", sa.String(length=200), nullable=False),
        sa.Column("invoice_id", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("invoice_number", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.String(length=200), nullable=False),
        sa.Column("due_on", sa.Date()),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("due_at", UtcDateTime),
        sa.Column("decided_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "invoice_id", "kind", "stage"),
    )
    op.create_table(
        "early_statuses",
        sa.Column("provider_message_id", sa.String(length=400), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("error_code", sa.Integer()),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("provider_message_id", "state"),
    )
    op.create_index("ix_early_statuses_received_at", "early_statuses", ["received_at"], unique=False)
    op.create_table(
        "intents",
        sa.Column("intent_id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=200), nullable=False),
        sa.Column("invoice_id", sa.String(length=200), nullable=False),
        sa.Column("invoice_number", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.String(length=200), nullable=False),
        sa.Column("phone", sa.String(length=20)),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("due_on", sa.Date()),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.Column("claimed_at", UtcDateTime),
        sa.Column("released_at", UtcDateTime),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("look_after", UtcDateTime),
        sa.Column("correlation_id", sa.String(length=200)),
        sa.PrimaryKeyConstraint("intent_id"),
        sa.UniqueConstraint("tenant_id", "invoice_id", "kind", "stage", name="one_intent"),
    )
    op.create_index("intents_due", "intents", ["state", "due_at"], unique=False)
    op.create_index("intents_of_contact", "intents", ["tenant_id", "contact_id", "kind"], unique=False)
    op.create_index("intents_of_phone", "intents", ["phone", "state"], unique=False)
    op.create_table(
        "opt_outs",
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("opted_out", sa.Boolean(), nullable=False),
        sa.Column("said_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("person"),
    )
    op.create_table(
        "pauses",
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("scope"),
    )
    op.create_table(
        "snapshots",
        sa.Column("tenant_id", sa.String(length=200), nullable=False),
        sa.Column("invoice_id", sa.String(length=200), nullable=False),
        sa.Column("read_at", UtcDateTime, nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "invoice_id"),
    )
    op.create_table(
        "tenants",
        sa.Column("tenant_id", sa.String(length=200), nullable=False),
        sa.Column("connected_at", UtcDateTime, nullable=False),
        sa.Column("announced", sa.Boolean(), nullable=False),
        sa.Column("lost_at", UtcDateTime),
        sa.Column("heard_at", UtcDateTime),
        sa.Column("braked_at", UtcDateTime),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    op.create_table(
        "attempts",
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("intent_id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=200), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("whatsapp_phone", sa.String(length=20)),
        sa.Column("person_user_id", sa.String(length=200)),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("outcome", sa.String(length=16)),
        sa.Column("failed_at", UtcDateTime),
        sa.Column("provider_message_id", sa.String(length=400)),
        sa.Column("error_code", sa.Integer()),
        sa.Column("error_class", sa.String(length=16)),
        sa.Column("details", sa.Text()),
        sa.ForeignKeyConstraint(
            ["intent_id"],
            ["intents.intent_id"],
        ),
        sa.PrimaryKeyConstraint("reference"),
    )
    op.create_index("attempts_of_tenant", "attempts", ["tenant_id", "started_at"], unique=False)
    op.create_index("attempts_to_phone", "attempts", ["phone", "started_at"], unique=False)
    op.create_index("ix_attempts_intent_id", "attempts", ["intent_id"], unique=False)
    op.create_index("ix_attempts_person_user_id", "attempts", ["person_user_id"], unique=False)
    op.create_index("ix_attempts_provider_message_id", "attempts", ["provider_message_id"], unique=False)
    op.create_index("ix_attempts_started_at", "attempts", ["started_at"], unique=False)
    op.create_index("ix_attempts_whatsapp_phone", "attempts", ["whatsapp_phone"], unique=False)
