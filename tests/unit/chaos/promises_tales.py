"""What is promised to whoever is honest: a history that breaks it is found by one check, its like by none."""

from collections.abc import Callable
from typing import Any

from unit.chaos.telling import TENANT, Tale, sent


def announced() -> Tale:
    return Tale().invoice("a").event("a")


def answered(*statuses: int | None) -> Tale:
    """An invoice that was sent to the end, and one post about it with these answers."""
    tale = sent()
    told = [{"invoice": "a", "tenant": TENANT, "kind": "issued"}]
    tale.add("post", post="x", events=told, forged=None)
    for attempt, status in enumerate(statuses):
        tale.add("answer", post="x", attempt=attempt, status=status, ms=5.0, error=None if status else "ReadError")
    return tale


def refused_for_a_while() -> Tale:
    return answered(401, 200)


def broken_for_a_while() -> Tale:
    return answered(500, 503, 200)


def unanswered() -> Tale:
    return answered(None, 200)


def unanswered_by_the_dead() -> Tale:
    tale = answered(503, 200).fault("kill-ingress", "begin", "end", shuts_door=True)
    number = tale.records[-1]["number"]
    tale.add("answer", post="x", attempt=2, status=None, ms=5.0, error="ConnectError")
    return tale.add("fault", number=number, name="kill-ingress", phase="recovered")


def never_accepted() -> Tale:
    return sent().invoice("b").event("b", status=503)


def accepted_when_it_was_told_again() -> Tale:
    tale = sent().invoice("b").event("b", status=503).event("b").message("b").intent("b", "sent")
    return tale.add("scan", tenant=TENANT, invoices=["b"], asked_at=1.0, accepted=False)


def a_letter(reason: str = "unreadable", *beside: str) -> Tale:
    return announced().add("dead", queue="fetcher.dead", reason=reason, source="q", ids=["a", *beside], attempts=1)


def rejected() -> Tale:
    """While there was no dead-letter queue it could only be rejected; but why was it set aside?"""
    return a_letter().add("dead", queue="fetcher.dead", reason="unknown", deaths=["rejected"], ids=["a"])


def on_the_ladder() -> Tale:
    return announced().add("waiting", queue="duebell.delay.7200", reason="slow", source="q", ids=["a"])


def held() -> Tale:
    return announced().intent("a", "held")


def with_a_killer_in_one_body() -> Tale:
    tale = a_letter("delivery_limit", "poison-1").add("poison", marker="poison-1", queue="q", form="a killer")
    return tale.add("strike", point="fetcher-marked", ids=["poison-1"])


def unknown(outcome: str | None = "unknown") -> Tale:
    tale = announced().intent("a", "unknown", reason="no_answer_ReadError")
    return tale.attempt("a", "r1", tale.now, outcome, "unknown")


def unknown_and_never_tried() -> Tale:
    return announced().intent("a", "unknown", reason="sender_gone").fault("whatsapp-reset", "begin", "end", "recovered")


def unknown_while_another_service_died() -> Tale:
    return unknown().fault("at-fetcher-taken", "begin", "end", "recovered", service="fetcher", kills=1)


def unknown_after_its_service_was_back() -> Tale:
    tale = announced().fault("at-notifier-taken", "begin", "end", service="notifier", kills=1)
    number = tale.records[-1]["number"]
    tale.now += 20
    tale.intent("a", "unknown", reason="no_answer_ReadError")
    tale.attempt("a", "r1", tale.now, "unknown", "unknown")
    return tale.add("fault", number=number, name="at-notifier-taken", phase="recovered", ready=2.0)


def unanswered_while_only_the_backlog_was_left() -> Tale:
    tale = answered(503, 200).fault("at-ingress-verified", "begin", "end", shuts_door=True, service="ingress")
    number = tale.records[-1]["number"]
    tale.now += 20
    tale.add("answer", post="x", attempt=2, status=None, ms=5.0, error="ConnectError")
    return tale.add("fault", number=number, name="at-ingress-verified", phase="recovered", ready=2.0)


def unknown_at_its_own_point() -> Tale:
    return (
        unknown(None)
        .process("notifier-1", 5)
        .fault("at-notifier-posted", "begin", "end", "recovered", service="notifier", kills=1, ready=2.0)
        .process("notifier-1", 6)
    )


def unknown_long_before_the_fault() -> Tale:
    tale = unknown()
    tale.now += 61
    return tale.fault("whatsapp-reset", "begin", "end", "recovered")


def unknown_through_a_fault() -> Tale:
    return unknown().fault("whatsapp-reset", "begin", "end", "recovered")


def unknown_since_its_sender_died() -> Tale:
    tale = unknown(None).process("notifier-1", 5).fault("kill-notifier", "begin", "end", "recovered", kills=1)
    return tale.process("notifier-1", 6)


def unknown_by_another_clock() -> Tale:
    tale = announced().fault("clock-notifier-back", "begin", "end", "recovered", moves_clock=True)
    tale.intent("a", "unknown", reason="no_answer_ReadError")
    return tale.attempt("a", "r1", tale.now - 700, "unknown", "unknown")


def unknown_in_another_hour() -> Tale:
    tale = unknown()
    tale.now += 3700
    return tale.fault("clock-notifier-back", "begin", "end", "recovered", moves_clock=True)


def failed() -> Tale:
    return announced().intent("a", "failed", reason="bad_parameter")


def to_be_sent_again() -> Tale:
    return announced().message("a").intent("a", "planned")


def cancelled_and_sent() -> Tale:
    return announced().message("a").intent("a", "cancelled")


def still_being_sent() -> Tale:
    return announced().message("a").intent("a", "sending")


def still_being_sent_by_the_dead() -> Tale:
    return still_being_sent().process("notifier-1", 5).process("notifier-1", 6)


def taken_and_not_known() -> Tale:
    return unknown_through_a_fault().message("a")


def another_rule() -> Tale:
    return sent().journal("xero.breach", rule="code_reuse", tenant=TENANT)


def nothing_happened() -> Tale:
    return Tale()


def suppressed_before_the_payment() -> Tale:
    tale = announced().decision("a", "skip", "paid")
    return tale.paid("a").event("a", "paid").snapshot("a", "PAID")


def suppressed_after_the_payment() -> Tale:
    tale = announced().paid("a").event("a", "paid")
    return tale.decision("a", "skip", "paid").snapshot("a", "PAID")


def no_thanks(rule: str = "never_owed") -> Tale:
    return sent().paid("a").event("a", "paid").decision("a", "skip", rule, kind="paid").snapshot("a", "PAID")


def no_thanks_after_a_reminder() -> Tale:
    tale = suppressed_after_the_payment().add("scan", tenant=TENANT, invoices=["a"], asked_at=1.0, accepted=True)
    # It was sent before the payment was made.
    fields: dict[str, Any] = {"template": "invoice_overdue", "number": "INV-a", "reference": None}
    return tale.add("journal", at=50.0, kind="whatsapp.message", status=200, ms=1.0, **fields)


WRONG: list[tuple[str, Callable[[], Tale]]] = [
    ("turned_away", refused_for_a_while),
    ("turned_away", broken_for_a_while),
    ("turned_away", unanswered),
    ("never_accepted", never_accepted),
    ("parked_needlessly", a_letter),
    ("parked_needlessly", rejected),
    ("parked_needlessly", on_the_ladder),
    ("parked_needlessly", held),
    ("unexplained_unknown", unknown),
    ("unexplained_unknown", unknown_and_never_tried),
    ("unexplained_unknown", unknown_long_before_the_fault),
    ("unexplained_unknown", unknown_in_another_hour),
    ("unexplained_unknown", unknown_while_another_service_died),
    ("unexplained_unknown", unknown_after_its_service_was_back),
    ("turned_away", unanswered_while_only_the_backlog_was_left),
    ("failed", failed),
    ("unrecorded", to_be_sent_again),
    ("unrecorded", cancelled_and_sent),
    ("unrecorded", still_being_sent),
    ("broken_rules", another_rule),
    ("nothing_proven", nothing_happened),
    ("wrongly_suppressed", suppressed_before_the_payment),
    ("wrongly_suppressed", no_thanks),
    ("wrongly_suppressed", no_thanks_after_a_reminder),
]
RIGHT: list[Callable[[], Tale]] = [
    unanswered_by_the_dead,
    accepted_when_it_was_told_again,
    with_a_killer_in_one_body,
    unknown_through_a_fault,
    unknown_since_its_sender_died,
    unknown_by_another_clock,
    unknown_at_its_own_point,
    still_being_sent_by_the_dead,
    taken_and_not_known,
    suppressed_after_the_payment,
]
