"""Asks for fresh snapshots of what is about to leave, in as few requests as hold it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from notifier.gathering import Member, gathers
from notifier.links import LINK_PATIENCE, lacks_link
from notifier.looks import LOOKS, Look, looks_for, patience
from notifier.model import Decision, Verdict
from notifier.ports import Due, Ledger, TenantBook
from notifier.put_aside import put_aside, stopped
from notifier.rendering import render
from notifier.still_wanted import why_expired
from notifier.template_check import TemplateCheck
from notifier.together import ask_for_siblings
from shared.contracts.messages import MessageChangedV1, MessageState
from shared.policy import Policy


@dataclass(frozen=True, slots=True)
class _Asked:
    """``siblings`` are read by the same request: invoice id → the correlation id of the message that waits."""

    with_link: bool
    siblings: Mapping[str, str | None]


class AskForLooks:
    """A message asks again only when its last request has been unanswered for long."""

    def __init__(
        self, ledger: Ledger, policy: Policy, templates: TemplateCheck, *, clock: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._policy = policy
        self._templates = templates
        self._clock = clock

    async def __call__(self, stale: Sequence[Due]) -> tuple[Sequence[Look], Sequence[MessageChangedV1]]:
        """Requests for fresh snapshots, and the cancellations of what time alone has made pointless."""
        now = self._clock()
        looks: list[Look] = []
        changes: list[MessageChangedV1] = []
        by_tenant = sorted(stale, key=lambda due: due.tenant_id)
        for tenant_id, dues in groupby(by_tenant, key=lambda due: due.tenant_id):
            async with self._ledger.open(tenant_id, now) as book:
                wanted: dict[bool, dict[str, str | None]] = {False: {}, True: {}}
                whole: dict[str, str] = {}
                for due in dues:
                    asked, cancelled = await self._ask_about(book, due, now)
                    await book.tell(cancelled, due.correlation_id)
                    changes += cancelled
                    if asked is not None:
                        wanted[asked.with_link].setdefault(due.invoice_id, due.correlation_id)
                        for invoice_id, correlation_id in asked.siblings.items():
                            wanted[asked.with_link].setdefault(invoice_id, correlation_id)
                            whole[invoice_id] = due.invoice_id
            for with_link, waiting in wanted.items():
                looks += looks_for(tenant_id, waiting, with_link=with_link, whole=whole)
        return looks, changes

    async def _ask_about(
        self, book: TenantBook, due: Due, now: datetime
    ) -> tuple[_Asked | None, Sequence[MessageChangedV1]]:
        intent, snapshot = await book.intent(due.intent_id), await book.snapshot(due.invoice_id)
        if intent is None or snapshot is None or intent.state is not MessageState.PLANNED:
            return None, []
        rules = self._policy.for_tenant(due.tenant_id)
        rule = why_expired(intent, snapshot, rules, now)
        if rule in {"too_late", "too_old"}:
            decision = Decision(intent.kind, intent.stage, Verdict.CANCEL, rule)
            return None, await put_aside(book, intent, snapshot, decision, now)
        if intent.look_after is not None and intent.look_after > now:
            return None, []
        forms, _ = await self._templates.forms(book, intent, snapshot.contact, rules, now)
        message = render(snapshot, intent.kind, intent.stage, rules, forms)
        if await stopped(book, intent, await book.breakers(message.template if message else None), now):
            return None, []
        if intent.looks >= LOOKS:
            decision = Decision(intent.kind, intent.stage, Verdict.CANCEL, "not_readable")
            return None, await put_aside(book, intent, snapshot, decision, now)
        siblings: Mapping[str, str | None] | None = None
        if gathers(rules, intent.kind, intent.stage):
            siblings = await ask_for_siblings(book, Member(intent, snapshot), now)
        # Of a statement's invoices one shows its link: that is asked for when it is known which.
        with_link = siblings is None and lacks_link(intent, snapshot, rules, forms)
        # An answer that brings links takes longer; asking meanwhile would only read the invoice again.
        pause = max(patience(intent.looks), LINK_PATIENCE) if with_link else patience(intent.looks)
        if with_link:
            await book.await_link(intent, now + LINK_PATIENCE)
        return (_Asked(with_link, siblings or {}) if await book.ask_again(intent, now + pause) else None), []
