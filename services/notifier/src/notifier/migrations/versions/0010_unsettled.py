"""What may have arrived more than once is found without reading every message."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    tried_again = sa.text("(tries > 1 OR resent_at IS NOT NULL)")
    op.create_index(
        "intents_tried_again", "intents", ["intent_id"], sqlite_where=tried_again, postgresql_where=tried_again
    )
