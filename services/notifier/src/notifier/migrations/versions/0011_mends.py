"""What waits everywhere, found without reading what does not, and what was billed as marketing already."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_WAITS = "state = 'planned' AND released_at IS NULL"
_HELD = "state = 'held' AND reason = 'ceiling'"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("as_marketing", sa.Boolean(), nullable=False, server_default=sa.false()))
    for name, column, which in (("intents_waiting", "due_at", _WAITS), ("intents_ceiling", "changed_at", _HELD)):
        where = sa.text(which)
        op.create_index(name, "intents", [column], unique=False, postgresql_where=where, sqlite_where=where)
