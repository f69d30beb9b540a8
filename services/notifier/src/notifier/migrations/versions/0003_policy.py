"""Finds the reminders to a number within one organisation."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("intents_of_number", "intents", ["tenant_id", "phone", "kind"])
