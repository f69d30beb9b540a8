"""Statements: several intents in one attempt."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("intents", sa.Column("gathers", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("intents", sa.Column("statement", sa.String(length=64)))
    op.add_column("intents", sa.Column("statement_of", sa.Integer()))
    op.create_index(
        "intents_gathering",
        "intents",
        ["tenant_id", "state", "due_at"],
        unique=False,
        postgresql_where=sa.text("gathers"),
        sqlite_where=sa.text("gathers = 1"),
    )
    op.create_table(
        "statement_intents",
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("intent_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["reference"], ["attempts.reference"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["intent_id"], ["intents.intent_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("reference", "intent_id"),
    )
    op.create_index("statements_of_intent", "statement_intents", ["intent_id"], unique=False)
