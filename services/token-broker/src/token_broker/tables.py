"""The tables: grants (one per Xero user), connections (one per organisation), consents (one per opened link)."""

import sqlalchemy as sa

from shared.runtime.database import UtcDateTime

metadata = sa.MetaData()

grants = sa.Table(
    "grants",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("access_token", sa.Text, nullable=False),
    sa.Column("refresh_token", sa.Text, nullable=False),
    sa.Column("refreshed_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("claim", sa.String(64)),
    sa.Column("claimed_at", UtcDateTime),
    sa.Column("claim_until", UtcDateTime),
    sa.Column("unknown_since", UtcDateTime),
    sa.Column("not_before", UtcDateTime),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("refusals", sa.Integer, nullable=False),
    sa.Column("look_at", UtcDateTime),
)

connections = sa.Table(
    "connections",
    metadata,
    sa.Column("tenant_id", sa.String(200), primary_key=True),
    sa.Column("tenant_name", sa.Text, nullable=False),
    sa.Column("grant_id", sa.String(200), sa.ForeignKey("grants.id"), nullable=False, index=True),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("reason", sa.String(100), nullable=False),
    sa.Column("connected_at", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("announced_at", UtcDateTime, index=True),
    sa.Column("correlation_id", sa.String(200)),
)

consents = sa.Table(
    "consents",
    metadata,
    sa.Column("nonce", sa.String(64), primary_key=True),
    sa.Column("link_expires_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.String(64), nullable=False, unique=True),
    sa.Column("state_expires_at", UtcDateTime, nullable=False),
    sa.Column("claim", sa.String(64)),
    sa.Column("claim_until", UtcDateTime),
    sa.Column("used_at", UtcDateTime),
)

ACTIVE = "active"
RECONNECT_NEEDED = "reconnect_needed"
CONNECTED = "connected"
LOST = "lost"
