"""How a day came otherwise than foretold: every difference with the rule that made it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from notifier import judge
from notifier.day_plan import DayPlan, Foretold
from notifier.forecast_book import Key
from notifier.model import ERASED, Intent, Snapshot
from shared.contracts.messages import MessageKind, MessageState

_MOMENTS = timedelta(minutes=15)
"""What leaves so shortly after midnight was meant to leave before it."""
_LATER = frozenset({"already_planned", "superseded"})
"""By these the day's scan was to plan it, for a later day; a scan at another hour did."""
_LEFT = frozenset({MessageState.FAILED})


@dataclass(frozen=True, slots=True)
class Decided:
    """The last rule about one candidate message."""

    key: Key
    verdict: str
    rule: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Happened:
    """What the ledger knows after the day of the invoices that were foretold, and of all that left on it.

    ``paused`` and ``lost``: at the end of the day, or when it is asked. ``stopped``: open breakers' reasons.
    """

    intents: Mapping[Key, Intent]
    decisions: Mapping[Key, Decided]
    snapshots: Mapping[str, Snapshot]
    paused: bool = False
    lost: bool = False
    stopped: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """``what``: ``missing`` (was to leave), ``extra`` (was not), ``ended`` (left, and failed or is unknown)."""

    what: str
    invoice_id: str
    invoice_number: str
    kind: MessageKind
    stage: int | None
    rule: str | None

    def as_json(self) -> dict[str, Any]:
        """``rule`` is None where nothing explains it."""
        return {
            "what": self.what,
            "invoice_id": self.invoice_id,
            "invoice_number": self.invoice_number,
            "kind": self.kind.value,
            "stage": self.stage,
            "rule": self.rule,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    day: date
    foretold: int
    as_foretold: int
    differences: tuple[Difference, ...] = field(default=())

    @property
    def unexplained(self) -> int:
        return sum(item.rule is None for item in self.differences)

    def as_json(self) -> dict[str, Any]:
        return {
            "day": self.day.isoformat(),
            "foretold": self.foretold,
            "as_foretold": self.as_foretold,
            "unexplained": self.unexplained,
            "differences": [item.as_json() for item in self.differences],
        }


def compare(plan: DayPlan, happened: Happened) -> Comparison:
    found: list[Difference] = []
    for message in plan.messages:
        found += _of_foretold(message, plan, happened)
    known = {message.key for message in plan.messages}
    for key, intent in happened.intents.items():
        if key not in known and _left_on(intent, plan):
            rule = _why_extra(intent, plan)
            found.append(_difference("extra", intent.invoice_number, key, rule))
    wrong = {(item.invoice_id, item.kind, item.stage) for item in found if item.what == "missing"} & known
    ended = sum(item.what != "missing" and (item.invoice_id, item.kind, item.stage) in known for item in found)
    return Comparison(plan.day, len(known), len(known) - len(wrong) - ended, tuple(found))


def _difference(what: str, number: str, key: Key, rule: str | None) -> Difference:
    return Difference(what, key[0], number, key[1], key[2], rule)


def _of_foretold(message: Foretold, plan: DayPlan, happened: Happened) -> Iterator[Difference]:
    intent = happened.intents.get(message.key)
    if intent is not None and _left_on(intent, plan):
        if message.held_by:
            yield _difference(
                "extra", message.invoice_number, message.key, "released" if intent.released else "resumed"
            )
        elif intent.state in {MessageState.FAILED, MessageState.UNKNOWN}:
            yield _difference("ended", message.invoice_number, message.key, intent.reason or intent.state.value)
    elif not message.held_by:
        rule = _why_missing(message, intent, plan, happened)
        yield _difference("missing", message.invoice_number, message.key, rule)


def _left_on(intent: Intent, plan: DayPlan) -> bool:
    left = intent.left or intent.state in _LEFT
    return left and intent.claimed_at is not None and plan.made_at <= intent.claimed_at < plan.ends_at


def _why_missing(message: Foretold, intent: Intent | None, plan: DayPlan, happened: Happened) -> str | None:
    gone = _why_gone(message, happened)
    if intent is None:
        return gone or _why_not_planned(message, plan, happened)
    match intent.state:
        case MessageState.CANCELLED | MessageState.SUPPRESSED | MessageState.HELD:
            return intent.reason or gone
        case MessageState.PLANNED:
            return _why_waits(message, intent, plan, happened)
        case _:
            return _why_waits(message, intent, plan, happened) or ("earlier" if _before(intent, plan) else gone)


def _before(intent: Intent, plan: DayPlan) -> bool:
    return intent.claimed_at is not None and intent.claimed_at < plan.made_at


def _why_gone(message: Foretold, happened: Happened) -> str | None:
    """What the invoice has become."""
    snapshot = happened.snapshots.get(message.invoice_id)
    if snapshot is None:
        return "forgotten"
    if snapshot.contact.contact_id == ERASED:
        return ERASED
    not_owed = judge.why_not_owed(snapshot.invoice)
    if not_owed and message.kind is not MessageKind.PAID:
        return not_owed
    return "due_date_changed" if snapshot.invoice.due_on != message.due_on else None


def _why_not_planned(message: Foretold, plan: DayPlan, happened: Happened) -> str | None:
    """The rule that was applied instead; else why none was."""
    decided = [item for key, item in happened.decisions.items() if key[0] == message.invoice_id]
    reminders = [item for item in decided if item.key[1] is message.kind and plan.made_at <= item.at]
    if reminders:
        newest = max(reminders, key=lambda item: item.at)
        return newest.rule if newest.key != message.key or newest.rule != "due" else None
    on_that_day = (plan.made_at <= item.at < plan.ends_at for item in happened.decisions.values() if _scanned(item))
    if not any(on_that_day):
        return "connection_lost" if happened.lost else "scan_missed"
    return None


def _scanned(item: Decided) -> bool:
    """Only a scan decides that a reminder is due or is not."""
    return item.key[1] is MessageKind.REMINDER and item.verdict in {"plan", "hold", "skip", "suppress"}


def _why_waits(message: Foretold, intent: Intent, plan: DayPlan, happened: Happened) -> str | None:
    decided = happened.decisions.get(message.key)
    postponed = decided is not None and decided.verdict == "postpone"
    rules: list[tuple[bool, str | None]] = [
        (happened.lost, "connection_lost"),
        (happened.paused, "paused"),
        (postponed, decided.rule if decided else None),
        (intent.reason is not None, intent.reason),
        (intent.looks > 0, "not_read_yet"),
        (intent.tries > 1, "tried_again"),
        (bool(happened.stopped), f"stopped:{happened.stopped[0]}" if happened.stopped else None),
        (intent.released, "released"),
        (decided is not None and decided.at >= plan.ends_at, "scan_missed"),
        (message.at >= plan.ends_at - _MOMENTS, "over_midnight"),
        (intent.due_at >= plan.ends_at, "contact_hours"),
    ]
    return next((rule for holds, rule in rules if holds), None)


def _why_extra(intent: Intent, plan: DayPlan) -> str | None:
    if intent.kind is not MessageKind.REMINDER:
        return "new_invoice" if intent.kind is MessageKind.ISSUED else "paid"
    of_invoice = [message for message in plan.messages if message.invoice_id == intent.invoice_id]
    if of_invoice:
        return "due_date_changed" if of_invoice[0].due_on != intent.due_on else "superseded"
    if intent.invoice_id not in plan.others:
        return "new_invoice"
    due_on, rules = plan.others[intent.invoice_id]
    held_off = [rule for rule in rules if rule != "no_stage_due"]
    told: list[tuple[bool, str | None]] = [
        (due_on != intent.due_on, "due_date_changed"),
        (intent.released, "released"),
        (not _LATER.isdisjoint(rules), "sooner"),
        (bool(held_off), f"no_longer:{held_off[-1]}" if held_off else None),
    ]
    return next((rule for holds, rule in told if holds), None)
