"""What an organisation's month comes to is added up from an index alone."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_MONTH = ["tenant_id", "currency", "sent_on", "cost", "estimate"]


def upgrade() -> None:
    op.create_index("attempts_spent", "attempts", [*_MONTH, "outcome", "failed_at"])
    op.create_index("confirmations_spent", "confirmations", [*_MONTH, "state"])
