"""Collects the invoices whose links messages wait for, so that one look asks for many of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from notifier.looks import LOOKS_AT_ONCE, Look, looks_for
from notifier.ports import Due

LONGEST = timedelta(seconds=1)
"""How long the first of them waits for company while other messages leave."""


class LinkRequests:
    """What is collected and not taken is forgotten with the process: those messages leave without a link."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, str | None]] = {}
        self._since: datetime | None = None

    def add(self, due: Due, now: datetime) -> None:
        self._waiting.setdefault(due.tenant_id, {}).setdefault(due.invoice_id, due.correlation_id)
        self._since = self._since or now

    def take(self, now: datetime, *, idle: bool) -> Sequence[Look]:
        """Everything collected, once there is enough of it, or nothing else to do, or the first has waited."""
        if self._since is None:
            return []
        enough = any(len(invoices) >= LOOKS_AT_ONCE for invoices in self._waiting.values())
        if not (idle or enough or abs(now - self._since) >= LONGEST):
            return []
        waiting, self._waiting, self._since = self._waiting, {}, None
        return [look for tenant, invoices in waiting.items() for look in looks_for(tenant, invoices, with_link=True)]
