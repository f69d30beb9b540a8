"""What a status tells of a message's price, as values of its row."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from notifier.lesson_ports import StatusNews
from notifier.model import Cost
from notifier.rates import Bill, Pricing, Rates
from shared.contracts.messages import MessageState

_ARRIVED = frozenset({MessageState.DELIVERED, MessageState.READ})


def bill_values(bill: Bill | None) -> dict[str, Any]:
    """The columns of what is expected before a message leaves."""
    if bill is None:
        return {}
    return {"sent_on": bill.sent_on, "market": bill.market, "currency": bill.currency, "estimate": bill.estimate}


def price_news(row: sa.Row[Any], news: StatusNews, rates: Rates, now: datetime) -> tuple[dict[str, Any], Cost | None]:
    """The columns that change, and the cost when it is known by this status and was not before.

    ``row`` is locked. The price comes with some statuses only, and only what arrives is billed: either may come first.
    """
    arrived = news.state in _ARRIVED
    if row.cost is not None or (news.pricing is None and not arrived):
        return {}, None
    values: dict[str, Any] = {}
    pricing = news.pricing or Pricing(row.category, row.pricing_type, row.billable)
    if news.pricing is not None:
        values |= {"category": pricing.category, "pricing_type": pricing.type, "billable": pricing.billable}
    if arrived and row.arrived_at is None:
        values["arrived_at"] = now
    if not arrived and row.arrived_at is None:
        return values, None
    amount = rates.cost(pricing, row.currency, row.market, row.sent_on)
    if amount is None or row.currency is None:
        return values, None
    return values | {"cost": amount}, Cost(amount, row.currency)
