"""What is known of a refresh whose answer was lost, and when a grant is looked at next."""

import sqlalchemy as sa
from alembic import op

from shared.runtime.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("grants") as grants:
        grants.add_column(sa.Column("claimed_at", UtcDateTime))
        grants.add_column(sa.Column("unknown_since", UtcDateTime))
        grants.add_column(sa.Column("look_at", UtcDateTime))


def downgrade() -> None:
    with op.batch_alter_table("grants") as grants:
        grants.drop_column("look_at")
        grants.drop_column("unknown_since")
        grants.drop_column("claimed_at")
