"""What is kept of the price of anything that is sent."""

from typing import Any

import sqlalchemy as sa

from shared.runtime.database import Millionths, UtcDateTime


def price_columns() -> list[sa.Column[Any]]:
    """``sent_on`` is the organisation's date. ``estimate`` is by our rates, the next three as the provider says.

    ``cost`` is what they come to once the message has arrived, in ``currency``.
    """
    return [
        sa.Column("sent_on", sa.Date),
        sa.Column("market", sa.String(2)),
        sa.Column("currency", sa.String(3)),
        sa.Column("estimate", Millionths),
        sa.Column("category", sa.String(64)),
        sa.Column("pricing_type", sa.String(64)),
        sa.Column("billable", sa.Boolean),
        sa.Column("arrived_at", UtcDateTime),
        sa.Column("cost", Millionths),
    ]
