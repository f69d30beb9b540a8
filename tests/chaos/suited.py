"""Checks that each message suited its invoice: its own customer, its amount, its payment; and that silence did."""

from collections.abc import Iterator
from decimal import Decimal

from chaos.outcomes import End, judged
from chaos.seen import ISSUED, PAID, REMINDER, Input, Message, Seen
from chaos.violation import Violation

OLDEST_SNAPSHOT = 600.0
_SAFE_RULES = frozenset({"paid", "never_owed", "no_longer_paid"})


def misdirected(seen: Seen) -> Iterator[Violation]:
    """Each message goes to the number of the invoice's own contact, in its own organisation's name, and tells an
    amount that the invoice has had, ten minutes after a change only the new one.
    """
    for (invoice, kind), messages in seen.messages.items():
        about = seen.invoices[invoice]
        for message in messages:
            known = _amounts(message, seen)
            if message.to is not None and about.get("to") not in {None, message.to}:
                yield Violation("misdirected", invoice, f"{kind} at {message.at:.3f} went to somebody else")
            if known and message.amount is not None and amount_in(message.amount) not in known:
                yield Violation("misdirected", invoice, f"{kind} at {message.at:.3f} tells another amount")
            if message.tenant is not None and message.tenant != about["tenant"]:
                yield Violation("misdirected", invoice, f"{kind} at {message.at:.3f} is in another one's name")


def _amounts(message: Message, seen: Seen) -> set[Decimal]:
    """Those that it may tell; none where they are not known."""
    changed_at = seen.changed_at.get(message.invoice, message.at)
    before = seen.invoices[message.invoice].get("total") if message.at <= changed_at + OLDEST_SNAPSHOT else None
    return {Decimal(one) for one in (before, seen.totals.get(message.invoice)) if one is not None}


def amount_in(text: str) -> Decimal | None:
    """Of an amount as customers read it, with its currency and separators."""
    digits = "".join(one for one in text if one.isdigit() or one == ".").strip(".")
    return Decimal(digits) if digits else None


def wrongly_suppressed(seen: Seen) -> Iterator[Violation]:
    """In this load there is one good reason to say nothing: the invoice was paid."""
    for event, outcome in judged(seen):
        if outcome.end is not End.SUPPRESSED or event.kind not in {ISSUED, REMINDER, PAID}:
            continue
        if outcome.why not in _SAFE_RULES or event.invoice not in seen.paid_at:
            yield Violation("wrongly_suppressed", event.invoice, f"{event.kind}: {outcome.why}")
        elif _too_early(event, seen):
            yield Violation("wrongly_suppressed", event.invoice, f"{event.kind}: {outcome.why}, before the payment")
        elif event.kind == PAID and any(seen.messages.get((event.invoice, kind)) for kind in (ISSUED, REMINDER)):
            yield Violation("wrongly_suppressed", event.invoice, f"no thanks after a demand: {outcome.why}")


def after_payment(seen: Seen) -> Iterator[Violation]:
    """No demand once the payment is known, and none off a reading older than ten minutes."""
    started = {row["reference"]: row["started_at"] for row in seen.attempts}
    for (invoice, kind), messages in seen.messages.items():
        paid_at = seen.paid_at.get(invoice)
        if kind == PAID or paid_at is None:
            continue
        known = [row["decided_at"] for row in seen.decisions.get((invoice, PAID), ())]
        for message in messages:
            if message.at <= paid_at:
                continue
            began = started.get(message.reference or "", message.at)
            if message.at > paid_at + OLDEST_SNAPSHOT:
                late = message.at - paid_at
                yield Violation("after_payment", invoice, f"{kind} {late:.0f} s after the payment")
            elif known and began > min(known) and not seen.clock_moved(paid_at, message.at):
                yield Violation("after_payment", invoice, f"{kind} {began - min(known):.1f} s after it was known")


def order(seen: Seen) -> Iterator[Violation]:
    """An invoice's alert or reminder is not begun after its thanks were."""
    started = {row["reference"]: row["started_at"] for row in seen.attempts}
    for (invoice, kind), thanks in seen.messages.items():
        if kind != PAID:
            continue
        thanked = min(started.get(one.reference or "", one.at) for one in thanks)
        for other in (ISSUED, REMINDER):
            for message in seen.messages.get((invoice, other), ()):
                began = started.get(message.reference or "", message.at)
                later = message.at > min(one.at for one in thanks) and began > thanked
                if later and not seen.clock_moved(seen.paid_at.get(invoice, 0.0), message.at):
                    yield Violation("order", invoice, f"{other} {began - thanked:.1f} s after the thanks")


def _too_early(event: Input, seen: Seen) -> bool:
    """Whether the last word of its being paid was said before it was."""
    paid_at = seen.paid_at[event.invoice]
    told = [row["decided_at"] for row in seen.decisions.get((event.invoice, event.kind), ()) if row["rule"] == "paid"]
    return bool(told) and max(told) < paid_at and not seen.clock_moved(max(told), paid_at)
