"""What must hold of every run: one function a check, from what was seen to the violations that were found."""

from collections.abc import Callable, Iterator, Mapping

from chaos import limits, tokens
from chaos.bounds import abandoned, forgotten, late, late_return, slow_refusals
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
from chaos.evidence import journal_gap, never_happened, not_played, nothing_proven, wrong_start
from chaos.outcomes import End, judged
from chaos.parked import innocent_parked, poison_attempts, poison_lost
from chaos.promises import (
    broken_rules,
    failed,
    never_accepted,
    parked_needlessly,
    turned_away,
    unexplained_unknown,
    unrecorded,
)
from chaos.seen import ISSUED, PAID, REMINDER, Seen
from chaos.suited import after_payment, misdirected, order, wrongly_suppressed
from chaos.violation import Violation

XERO_WAITS = 5000.0
POLLED_AFTER = 3300.0
"""Seconds; an hour after the connection a poll reads every invoice that there is, told of or not."""
_SENT = frozenset({"accepted", "sent", "delivered", "read"})


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


def planned_twice(seen: Seen) -> Iterator[Violation]:
    """The ledger has one intent for each kind of message about an invoice: a second could go out as well."""
    for (invoice, kind), intents in seen.planned.items():
        if intents > 1:
            yield Violation("planned_twice", invoice, f"{intents} intents of its {kind}")


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


def phantom(seen: Seen) -> Iterator[Violation]:
    """What the ledger calls sent, WhatsApp has accepted."""
    for (invoice, kind), row in seen.intents.items():
        if row["state"] in _SENT and not seen.messages.get((invoice, kind)):
            yield Violation("phantom", invoice, f"{kind} is {row['state']} in the ledger, and WhatsApp never took it")


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
        if row["ms"] >= XERO_WAITS and not seen.door_shut(row):
            yield Violation("slow_answers", row["post"], f"{row['ms']:.0f} ms")


def token_reuse(seen: Seen) -> Iterator[Violation]:
    """No refresh token is shown again, unless the answer was made to vanish, and then not while the claim may last."""
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
        planned_twice,
        unexpected,
        misdirected,
        phantom,
        late,
        abandoned,
        wrongly_suppressed,
        after_payment,
        order,
        wrong_start,
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
        journal_gap,
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
