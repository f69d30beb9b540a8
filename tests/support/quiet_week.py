"""A made-up year that goes quiet: from one day on nothing happens at Xero, and the scans go on."""

import heapq
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from notifier.forecast_book import Facts
from notifier.model import PENDING, Intent
from notifier.ports import TemplateMessage
from shared.contracts.invoices import Cause, CauseKind, InvoiceEnrichedV1
from shared.contracts.messages import MessageState
from shared.policy import Policy, TenantPolicy
from shared.scan_times import daily_scan
from support.year import Year


class QuietWeek(Year):
    """``go_quiet`` first; what then leaves on ``go_on`` is exactly what the decisions make of what was read last."""

    quiet = False

    def rules(self) -> TenantPolicy:
        tenant = self.organisation.tenant_id
        return Policy.model_validate({"tenants": {tenant: self.organisation.policy}}).for_tenant(tenant)

    async def go_quiet(self) -> Facts:
        """Play until now; the ledger then."""
        await self.play()
        self.quiet = True
        self._agenda.clear()
        self.posts.clear()
        return await self.facts()

    async def facts(self) -> Facts:
        book = self.book
        owed = {key for key, item in book.snapshots.items() if item.invoice.status == "AUTHORISED"}
        owed |= {item.invoice_id for item in book.intents.values() if item.pending}
        return Facts(
            tenant=await book.tenant(),
            snapshots=tuple(book.snapshots[key] for key in owed),
            settled=len(book.snapshots) - len(owed),
            intents=tuple(sorted(book.intents.values(), key=_in_order)),
            phones=dict(book.phones),
            waits_for={},
            opted_out=frozenset(phone for phone in book.opted_out if phone),
        )

    async def go_on(self, ahead: timedelta) -> None:
        zone, begin = ZoneInfo(self.organisation.zone), self.now
        for intent in sorted(self.book.intents.values(), key=_in_order):
            if intent.state in PENDING:
                self._send_later(intent.intent_id, max(intent.due_at, begin))
        for day in range(-1, ahead.days + 2):
            local = (begin + timedelta(days=day)).astimezone(zone).date()
            due = daily_scan(self.organisation.tenant_id, local, zone, self.rules())
            if due is not None and begin < due <= begin + ahead:
                self._at(due, partial(self._scan_of, self.rules().due_before(local)))
        await self._run(begin + ahead)

    async def _run(self, end: datetime) -> None:
        while self._agenda and self._agenda[0][0] <= end:
            self.now, _, action = heapq.heappop(self._agenda)
            await action()

    async def _scan_of(self, before: Any) -> None:
        for snapshot in [self.book.snapshots[key] for key in sorted(self.book.snapshots)]:
            due_on = snapshot.invoice.due_on
            if snapshot.invoice.status == "AUTHORISED" and (due_on is None or due_on < before):
                await self._read_again(snapshot.invoice.invoice_id, CauseKind.SCAN)

    async def _read_again(self, invoice_id: str, kind: CauseKind) -> None:
        known = self.book.snapshots[invoice_id]
        event = InvoiceEnrichedV1(
            tenant_id=known.tenant_id,
            invoice=known.invoice,
            contact=known.contact,
            organisation=known.organisation,
            read_at=self.now.astimezone(UTC),
            cause=Cause(kind=kind),
        )
        await self._intake(event, "c")
        planned, self.book.newly_planned = self.book.newly_planned, []
        for intent in planned:
            self._send_later(intent.intent_id, max(intent.due_at, self.now))

    async def _take_in(self, account: Any, cause: dict[str, Any]) -> None:
        if self.quiet:
            await self._read_again(account.invoice_id, CauseKind.LOOK)
        else:
            await super()._take_in(account, cause)

    def _send_later(self, intent_id: str, moment: datetime) -> None:
        if self.quiet:
            self._at(moment, partial(self._send, intent_id))
        else:
            super()._send_later(intent_id, moment)

    def _answer(self, together: Sequence[Intent], message: TemplateMessage) -> None:
        if not self.quiet:
            super()._answer(together, message)
            return
        self.settle(together, MessageState.DELIVERED)
        self._post(together, message)


def _in_order(intent: Intent) -> tuple[datetime, str]:
    return intent.due_at, intent.intent_id
