"""Which overdue reminders of one contact become one statement, and how long the first of them waits for the others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from notifier.looks import LOOKS_AT_ONCE
from notifier.model import Decision, History, Intent, Snapshot, Verdict
from shared.contracts.messages import MessageKind
from shared.contracts.scans import LONGEST_SCAN
from shared.policy import TenantPolicy

GATHERING = LONGEST_SCAN
"""How long the first reminder of a contact waits: by then a scan has told of all the others.

It is as long as a snapshot stays fresh, too. So they are asked for once more, and the answers come behind whatever the
scan had still in the queue.
"""
MOST_TOGETHER = LOOKS_AT_ONCE
"""Invoices in one statement: one request reads them all, and a claim of so many ends in time for its POST."""


def gathers(rules: TenantPolicy, kind: MessageKind, stage: int | None) -> bool:
    """Whether such a message may go in a statement; thanks, alerts and what is not overdue never do."""
    return rules.group_by_contact and kind is MessageKind.REMINDER and stage is not None and stage > 0


def gathered_at(now: datetime, history: History) -> datetime:
    """When a reminder that is planned now has waited enough: with those that are gathered already, not after them."""
    own = now + GATHERING
    return own if history.gathers_until is None else max(now, min(own, history.gathers_until))


def joining(history: History) -> History:
    """The history of a reminder that goes with those that are gathered: they are its own message, not another one."""
    if history.gathers_until is None:
        return history
    return replace(
        history,
        reminders_this_week=history.reminders_this_week - 1,
        reminders_this_month=history.reminders_this_month - 1,
    )


@dataclass(frozen=True, slots=True)
class Member:
    """A reminder and the invoice it is of; ``decision`` is the last look's, None while the snapshot is too old."""

    intent: Intent
    snapshot: Snapshot
    decision: Decision | None = None


class GroupStep(StrEnum):
    LEAVE = "leave"
    """``together`` are the message: a statement when they are two or more."""
    ASK = "ask"
    """``stale`` must be read anew first."""
    WAIT = "wait"
    """``stale`` were asked for and may still be answered."""


@dataclass(frozen=True, slots=True)
class Group:
    """``aside`` are those that their own rules keep back; they are no part of it whatever the step."""

    step: GroupStep
    together: Sequence[Member]
    stale: Sequence[Member] = ()
    aside: Sequence[Member] = ()


def group(lead: Member, siblings: Iterable[Member], now: datetime) -> Group:
    """What leaves with ``lead``, which may leave now, out of the other due reminders of its contact.

    A sibling whose snapshot is old is waited for until its first request has been unanswered for its time; then the
    others go without it.
    """
    others = [sibling for sibling in siblings if sibling.intent.intent_id != lead.intent.intent_id]
    same = [sibling for sibling in others if _same_person(lead.snapshot, sibling)]
    stale = [sibling for sibling in same if sibling.decision is None]
    unasked = [sibling for sibling in stale if sibling.intent.looks == 0]
    awaited = [sibling for sibling in stale if sibling.intent.looks == 1 and _unanswered(sibling.intent, now)]
    judged = [(sibling, sibling.decision.verdict) for sibling in same if sibling.decision is not None]
    aside = [sibling for sibling, verdict in judged if verdict is not Verdict.SEND]
    wanted = [sibling for sibling, verdict in judged if verdict is Verdict.SEND]
    together = tuple(sorted([lead, *wanted], key=_age))
    if unasked:
        return Group(GroupStep.ASK, together, unasked, aside)
    if awaited:
        return Group(GroupStep.WAIT, together, awaited, aside)
    return Group(GroupStep.LEAVE, together, (), aside)


def _same_person(snapshot: Snapshot, sibling: Member) -> bool:
    """What is too old to tell counts as the same: it is looked at before that matters."""
    contact, its = snapshot.contact, sibling.snapshot.contact
    return sibling.decision is None or (contact.contact_id, contact.phone) == (its.contact_id, its.phone)


def _unanswered(intent: Intent, now: datetime) -> bool:
    return intent.look_after is not None and intent.look_after > now


def _age(member: Member) -> tuple[date, str]:
    return (member.snapshot.invoice.due_on or date.max, member.intent.intent_id)
