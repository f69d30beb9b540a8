"""Finds what leaves together at the last look: judges each, puts aside what is unwanted, asks for what is old."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from notifier.gathering import MOST_TOGETHER, Group, GroupStep, Member, group
from notifier.looks import LOOKS, Look, looks_for, patience
from notifier.model import History, Intent
from notifier.ports import Sibling, TenantBook
from notifier.put_aside import put_aside, stopped
from notifier.statement_text import STATEMENT
from notifier.still_wanted import is_fresh, still_wanted
from shared.contracts.messages import MessageChangedV1
from shared.policy import TenantPolicy


@dataclass(frozen=True, slots=True)
class Gathered:
    """``together`` is empty while some of them are being read; ``looks`` then asks for them."""

    together: Sequence[Member]
    looks: Sequence[Look] = ()
    changes: Sequence[MessageChangedV1] = ()


async def gather(book: TenantBook, lead: Member, history: History, rules: TenantPolicy, now: datetime) -> Gathered:
    """All that leaves with ``lead``, which may leave now; ``history`` is the person's as it was asked for ``lead``."""
    found = group(lead, [_judged(each, history, rules, now) for each in await _siblings(book, lead, now)], now)
    changes = [
        change
        for member in found.aside
        if member.decision is not None
        for change in await put_aside(book, member.intent, member.snapshot, member.decision, now)
    ]
    if found.step is GroupStep.LEAVE:
        return Gathered(found.together, (), changes)
    return Gathered((), await _look_first(book, found, now), changes)


async def ask_for_siblings(book: TenantBook, lead: Member, now: datetime) -> dict[str, str | None] | None:
    """The siblings of ``lead`` that are to be read with it, by invoice, and noted as asked for; None if it has none."""
    found = await _siblings(book, lead, now)
    if not found:
        return None
    stale = [each.intent for each in found if not is_fresh(each.snapshot, now)]
    askable = [intent for intent in stale if intent.looks < LOOKS and not _asked(intent, now)]
    return {
        intent.invoice_id: intent.correlation_id
        for intent in askable
        if await book.ask_again(intent, now + patience(intent.looks))
    }


async def _siblings(book: TenantBook, lead: Member, now: datetime) -> Sequence[Sibling]:
    return await book.siblings(lead.intent, lead.snapshot.contact.contact_id, now, MOST_TOGETHER - 1)


def _judged(sibling: Sibling, history: History, rules: TenantPolicy, now: datetime) -> Member:
    intent, snapshot = sibling.intent, sibling.snapshot
    if not is_fresh(snapshot, now):
        return Member(intent, snapshot)
    own = replace(history, intents=sibling.of_invoice)
    return Member(intent, snapshot, still_wanted(intent, snapshot, rules, now, own))


async def _look_first(book: TenantBook, found: Group, now: datetime) -> Sequence[Look]:
    breakers = await book.breakers(STATEMENT)
    if any([await stopped(book, intent, breakers, now) for intent in _intents([*found.together, *found.stale])]):
        return ()
    if found.step is GroupStep.WAIT:
        awaited = [member.intent.look_after for member in found.stale if member.intent.look_after is not None]
        await book.hold_off(_intents(found.together), min(awaited))
        return ()
    await book.hold_off(_intents(found.together), now + patience(0))
    asked: dict[str, str | None] = {
        intent.invoice_id: intent.correlation_id
        for intent in _intents(found.stale)
        if await book.ask_again(intent, now + patience(0))
    }
    return looks_for(found.together[0].intent.tenant_id, asked, with_link=False) if asked else ()


def _intents(members: Sequence[Member]) -> list[Intent]:
    return [member.intent for member in members]


def _asked(intent: Intent, now: datetime) -> bool:
    return intent.look_after is not None and intent.look_after > now
