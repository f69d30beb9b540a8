"""What must hold of every run: one function a check, from what was seen to the violations that were found."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from chaos import limits, tokens
from chaos.bounds import abandoned, forgotten, late_return, slow_refusals
from chaos.door_checks import (
    door_died,
    door_files,
    door_memory,
    honest_refused,
    hostile_accepted,
    hostile_errors,
    refused_wrongly,
    slow_while_attacked,
)
from chaos.outcomes import End, Outcome, outcome_of
from chaos.parked import innocent_parked, poison_attempts, poison_lost
from chaos.promises import (
    broken_rules,
    door_shut,
    failed,
    never_accepted,
    nothing_proven,
    parked_needlessly,
    turned_away,
    unexplained_unknown,
    unrecorded,
)
from chaos.seen import ISSUED, PAID, REMINDER, Input, Seen
from chaos.violation import Violation

OLDEST_SNAPSHOT = 600.0
XERO_WAITS = 5000.0
_SENT = frozenset({"accepted", "sent", "delivered", "read"})
_SAFE_RULES = frozenset({"paid", "never_owed", "no_longer_paid"})


def judged(seen: Seen) -> list[tuple[Input, Outcome]]:
    """Every accepted event with its end."""
    return [(event, outcome_of(event, seen)) for event in seen.accepted]


def lost(seen: Seen) -> Iterator[Violation]:
    """Every event that was answered 200 comes to one of the ends that are known."""
    for event, outcome in judged(seen):
        if outcome.end is End.LOST:
            details = f"{event.kind}, accepted at {event.accepted_at:.3f}, {outcome.why or 'no trace of it'}"
            yield Violation("lost", event.invoice, details)


def unfinished(seen: Seen) -> Iterator[Violation]:
    """Everything comes to rest: nothing is still to be sent, no queue that a service reads is left full."""
    for event, outcome in judged(seen):
        if outcome.end is End.PENDING:
            yield Violation("unfinished", event.invoice, f"{event.kind} is still {outcome.why}")
    for row in seen.queues:
        if row["messages"]:
            yield Violation("unfinished", row["name"], f"{row['messages']} messages are left in it")


def duplicate(seen: Seen) -> Iterator[Violation]:
    """A run is shorter than a day: two reminders of one invoice would be two stages on one day."""
    for (invoice, kind), messages in seen.messages.items():
        if len(messages) > 1:
            times = ", ".join(f"{message.at:.3f}" for message in messages)
            yield Violation("duplicate", invoice, f"{len(messages)} × {kind}: {times}")


def unexpected(seen: Seen) -> Iterator[Violation]:
    """Every message goes back to an event that an honest sender offered, whatever was answered."""
    offered = {(event.invoice, event.kind) for event in seen.inputs}
    for (invoice, kind), messages in seen.messages.items():
        if (invoice, kind) not in offered:
            yield Violation("unexpected", invoice, f"{kind} at {messages[0].at:.3f}, which nobody asked for")
        if kind == PAID and invoice not in seen.paid_at:
            yield Violation("unexpected", invoice, "thanks for what was never paid")
    for row in seen.nameless:
        yield Violation("unexpected", str(row.get("number")), f"{row.get('template')} for no invoice of this run")


def misdirected(seen: Seen) -> Iterator[Violation]:
    """Each message goes to the number of the invoice's own contact, and tells an amount that the invoice has had."""
    for (invoice, kind), messages in seen.messages.items():
        about = seen.invoices[invoice]
        known = {Decimal(one) for one in (about.get("total"), seen.totals.get(invoice)) if one is not None}
        for message in messages:
            if message.to is not None and about.get("to") not in {None, message.to}:
                yield Violation("misdirected", invoice, f"{kind} at {message.at:.3f} went to somebody else")
            if known and message.amount is not None and amount_in(message.amount) not in known:
                yield Violation("misdirected", invoice, f"{kind} at {message.at:.3f} tells another amount")


def amount_in(text: str) -> Decimal | None:
    """Of an amount as customers read it, with its currency and separators."""
    digits = "".join(one for one in text if one.isdigit() or one == ".").strip(".")
    return Decimal(digits) if digits else None


def phantom(seen: Seen) -> Iterator[Violation]:
    """What the ledger calls sent, WhatsApp has accepted."""
    for (invoice, kind), row in seen.intents.items():
        if row["state"] in _SENT and not seen.messages.get((invoice, kind)):
            yield Violation("phantom", invoice, f"{kind} is {row['state']} in the ledger, and WhatsApp never took it")


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


def _too_early(event: Input, seen: Seen) -> bool:
    """Whether the last word of its being paid was said before it was."""
    paid_at = seen.paid_at[event.invoice]
    told = [row["decided_at"] for row in seen.decisions.get((event.invoice, event.kind), ()) if row["rule"] == "paid"]
    return bool(told) and max(told) < paid_at and not _clock_moved(max(told), paid_at, seen)


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
            elif known and began > min(known) and not _clock_moved(paid_at, message.at, seen):
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
                if later and not _clock_moved(seen.paid_at.get(invoice, 0.0), message.at, seen):
                    yield Violation("order", invoice, f"{other} {began - thanked:.1f} s after the thanks")


def _clock_moved(began: float, ended: float, seen: Seen) -> bool:
    """Whether the ledger's own times may be wrong then."""
    return any(span.moves_clock and span.touches(began, ended) for span in seen.faults)


POLLED_AFTER = 3300.0
"""Seconds; an hour after the connection a poll reads every invoice that there is, told of or not."""


def forged_accepted(seen: Seen) -> Iterator[Violation]:
    """No forged body is answered with 2xx, and no trace of one is left behind the door."""
    for row in seen.forged_answers:
        if row["status"] is not None and 200 <= row["status"] < 300:
            mutation = seen.forged_posts[row["post"]]["forged"]
            yield Violation("forged_accepted", row["post"], f"answered {row['status']}: {mutation}")
    honest = {event.invoice for event in seen.inputs}
    offered = [event.offered_at for event in seen.inputs]
    polled = bool(offered) and max(offered) - min(offered) > POLLED_AFTER
    for invoice in sorted(seen.forged_invoices - honest):
        traces = [kind for kind in (ISSUED, PAID, REMINDER) if seen.messages.get((invoice, kind))]
        if traces or (invoice in seen.snapshots and not polled) or invoice in seen.letters:
            yield Violation("forged_accepted", invoice, "it got behind the door")
    yield from hostile_accepted(seen)


def server_errors(seen: Seen) -> Iterator[Violation]:
    """To whatever is forged or hostile the door says no; it never breaks."""
    for row in seen.forged_answers:
        if row["status"] is not None and row["status"] >= 500:
            yield Violation("server_errors", row["post"], f"{row['status']} to a forged body")
    yield from hostile_errors(seen)


def slow_answers(seen: Seen) -> Iterator[Violation]:
    """Xero waits five seconds: whatever is broken behind the door, the door itself answers in time."""
    for row in seen.answers:
        if row["ms"] >= XERO_WAITS and not door_shut(row, seen):
            yield Violation("slow_answers", row["post"], f"{row['ms']:.0f} ms")


def token_reuse(seen: Seen) -> Iterator[Violation]:
    """No refresh token is shown twice, unless the answer to the first time was made to vanish."""
    for line in tokens.reuses(seen.journal["xero.token"], seen.journal["xero.breach"], seen.faults):
        yield Violation("token_reuse", "", line)


def limit_breach(seen: Seen) -> Iterator[Violation]:
    """Per organisation at most 60 calls in any minute and 5 at once, as the double counts and as its journal shows."""
    for line in limits.breaches(seen.journal["xero.api"], seen.journal["xero.breach"]):
        yield Violation("limit_breach", line.partition(":")[0], line.partition(": ")[2])


def number_in_log(seen: Seen) -> Iterator[Violation]:
    """No log line shows the number of anybody who was written to."""
    for row in seen.leaks:
        yield Violation("number_in_log", row["log"], f"{row['lines']} lines of {row['event']}")


def never_recovered(seen: Seen) -> Iterator[Violation]:
    """After every fault all processes are ready again and the backlog is worked off, without a hand."""
    for span in seen.faults:
        if span.recovered_at is None:
            yield Violation("never_recovered", span.name, f"fault {span.number}")


def not_played(seen: Seen) -> Iterator[Violation]:
    """A run plays all that it was asked for."""
    for row in seen.left_out:
        if row.get("wanted"):
            yield Violation("not_played", row["name"], row["why"])


def never_happened(seen: Seen) -> Iterator[Violation]:
    """A fault that was not observed proves nothing."""
    for span in seen.faults:
        if not span.hit:
            yield Violation("never_happened", span.name, f"fault {span.number} was not seen to take hold")


def unreplicated(seen: Seen) -> Iterator[Violation]:
    """In a cluster every queue has a member on every node."""
    for row in seen.replicas:
        if row["members"] < row["of"]:
            yield Violation("unreplicated", row["queue"], f"on {row['members']} of {row['of']} nodes")


def accepted_without_majority(seen: Seen) -> Iterator[Violation]:
    """While most of a cluster is gone nothing can be confirmed, so nothing is answered 200."""
    for row in seen.answers:
        asked_at = row["at"] - row["ms"] / 1000
        if row["status"] == 200 and any(gone <= asked_at and row["at"] <= back for gone, back in seen.minorities):
            yield Violation("accepted_without_majority", row["post"], f"answered 200 at {row['at']:.3f}")


Check = Callable[[Seen], Iterator[Violation]]

CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        lost,
        unfinished,
        duplicate,
        unexpected,
        misdirected,
        phantom,
        abandoned,
        wrongly_suppressed,
        after_payment,
        order,
        forged_accepted,
        server_errors,
        refused_wrongly,
        honest_refused,
        slow_while_attacked,
        door_memory,
        door_died,
        door_files,
        slow_answers,
        slow_refusals,
        token_reuse,
        limit_breach,
        forgotten,
        poison_lost,
        poison_attempts,
        innocent_parked,
        turned_away,
        never_accepted,
        parked_needlessly,
        unexplained_unknown,
        failed,
        unrecorded,
        broken_rules,
        nothing_proven,
        number_in_log,
        never_recovered,
        not_played,
        never_happened,
        late_return,
        unreplicated,
        accepted_without_majority,
    )
}


def violations(seen: Seen) -> list[Violation]:
    """All of every check."""
    return [violation for check in CHECKS.values() for violation in check(seen)]
