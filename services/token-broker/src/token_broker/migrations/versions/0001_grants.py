"""Grants, connections and consents."""

import sqlalchemy as sa
from alembic import op

from shared.runtime.database import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "grants",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("access_token", sa.Text, nullable=False),
        sa.Column("refresh_token", sa.Text, nullable=False),
        sa.Column("refreshed_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("claim", sa.String(64)),
        sa.Column("claim_until", UtcDateTime),
        sa.Column("not_before", UtcDateTime),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("refusals", sa.Integer, nullable=False),
    )
    op.create_table(
        "connections",
        sa.Column("tenant_id", sa.String(200), primary_key=True),
        sa.Column("tenant_name", sa.Text, nullable=False),
        sa.Column("grant_id", sa.String(200), sa.ForeignKey("grants.id"), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("reason", sa.String(100), nullable=False),
        sa.Column("connected_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("announced_at", UtcDateTime),
        sa.Column("correlation_id", sa.String(200)),
    )
    op.create_index("ix_connections_grant_id", "connections", ["grant_id"])
    op.create_index("ix_connections_announced_at", "connections", ["announced_at"])
    op.create_table(
        "consents",
        sa.Column("nonce", sa.String(64), primary_key=True),
        sa.Column("link_expires_at", UtcDateTime, nullable=False),
        sa.Column("state", sa.String(64), nullable=False, unique=True),
        sa.Column("state_expires_at", UtcDateTime, nullable=False),
        sa.Column("claim", sa.String(64)),
        sa.Column("claim_until", UtcDateTime),
        sa.Column("used_at", UtcDateTime),
    )


def downgrade() -> None:
    op.drop_table("consents")
    op.drop_table("connections")
    op.drop_table("grants")
