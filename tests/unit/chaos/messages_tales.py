"""What is told of messages and the ledger: each check sees a history with exactly one thing wrong."""

from collections.abc import Callable
from typing import Any

from notifier.sender import IN_FLIGHT
from unit.chaos.telling import TENANT, Tale, sent, sent_to


def lost() -> Tale:
    return sent().invoice("b").event("b")


def lost_change() -> Tale:
    tale = sent().add("change", invoice="a", to="total", value="2000.00")
    return tale.event("a", "changed")


def lost_payment() -> Tale:
    return sent().paid("a").event("a", "paid").snapshot("a", "AUTHORISED")


def never_swept() -> Tale:
    return sent().invoice("b").add("scan", tenant=TENANT, kind="issued", invoices=["b"], asked_at=1.0, accepted=True)


def unfinished() -> Tale:
    return sent().invoice("b").event("b").intent("b", "planned").decision("b", "plan", "due")


def left_in_a_queue() -> Tale:
    return sent().add("queue", name="fetcher.xero.event.received.v1", messages=3)


def duplicate() -> Tale:
    return sent().message("a")


def two_stages() -> Tale:
    tale = sent().add("scan", tenant=TENANT, invoices=["a"], asked_at=1.0, accepted=True)
    return tale.message("a", "invoice_overdue").message("a", "invoice_overdue_firm_with_link")


def unexpected() -> Tale:
    return sent().invoice("b").message("b")


def unexpected_thanks() -> Tale:
    return sent().event("a", "paid").message("a", "invoice_paid")


def nameless() -> Tale:
    return sent().message("nobody knows it")


def phantom() -> Tale:
    # It is lost as well: nobody has received it.
    return Tale().invoice("a").event("a").intent("a", "sent")


def abandoned() -> Tale:
    tale = sent().process("notifier-1", 5).process("notifier-1", 6)
    for number in range(IN_FLIGHT + 1):
        tale.attempt("a", f"t{number}", 1.0, None)
    return tale


def abandoned_by_nobody() -> Tale:
    return sent().process("notifier-1", 5).process("notifier-2", 6).attempt("a", "t1", 1.0, None)


def wrongly_suppressed() -> Tale:
    return Tale().invoice("a").event("a").decision("a", "skip", "not_newly_issued").snapshot("a")


def stale() -> Tale:
    tale = sent().paid("a").event("a", "paid").snapshot("a", "PAID").decision("a", "skip", "paid")
    tale.message("a", "invoice_paid").now += 700
    scan = tale.add("scan", tenant=TENANT, invoices=["a"], asked_at=1.0, accepted=True)
    return scan.message("a", "invoice_overdue")


def after_payment() -> Tale:
    tale = sent().paid("a").event("a", "paid").message("a", "invoice_paid", reference="r2")
    tale.decision("a", "plan", "due", kind="paid", at=tale.now - 20).attempt("a", "r2", tale.now - 3, "accepted")
    tale.add("scan", tenant=TENANT, invoices=["a"], asked_at=1.0, accepted=True)
    return tale.message("a", "invoice_overdue", reference="r3").attempt("a", "r3", tale.now - 10, "accepted")


def order() -> Tale:
    tale = Tale().invoice("a").event("a").paid("a").event("a", "paid").message("a", "invoice_paid")
    return tale.message("a")


def poison_lost() -> Tale:
    return sent().add("poison", marker="poison-1", queue="fetcher.x", form="no JSON")


def poison_again_and_again() -> Tale:
    letter: dict[str, Any] = {"queue": "fetcher.dead", "reason": "unexpected_X", "source": "x", "ids": ["poison-1"]}
    return sent().add("poison", marker="poison-1", queue="fetcher.x", form="a killer").add("dead", **letter, attempts=9)


def poison_kills_for_ever() -> Tale:
    tale = sent().add("poison", marker="poison-1", queue="fetcher.x", form="a killer")
    for _ in range(12):
        tale.add("strike", point="fetcher-marked", ids=["poison-1"])
    return tale.add("waiting", queue="fetcher.x", reason="unknown", source=None, ids=["poison-1"], attempts=None)


def killer_let_go() -> Tale:
    """With all its attempts but the last behind it; it was decided on instead of being given up."""
    tale = sent().add("poison", marker="poison-1", queue="fetcher.x", form="a killer", behind=7, kills=True)
    return tale.decision("poison-1", "skip", "no_phone")


def killer_kills_on() -> Tale:
    letter: dict[str, Any] = {"queue": "fetcher.dead", "reason": "consumer_lost", "source": "x", "ids": ["poison-1"]}
    tale = sent().add("poison", marker="poison-1", queue="fetcher.x", form="a killer", behind=7, kills=True)
    for _ in range(4):
        tale.add("strike", point="fetcher-marked", ids=["poison-1"])
    return tale.add("dead", **letter, attempts=8)


def innocent_parked() -> Tale:
    letter: dict[str, Any] = {"queue": "fetcher.dead", "reason": "consumer_lost", "source": "x", "attempts": None}
    killer = sent().add("poison", marker="poison-1", queue="fetcher.x", form="a killer")
    killer.add("strike", point="fetcher-marked", ids=["poison-1"]).add("dead", ids=["poison-1"], **letter)
    return killer.add("dead", ids=["a", "somebody"], **letter)


def planned_twice() -> Tale:
    return sent().intent("a", "cancelled").intent("a", "delivered")


def late() -> Tale:
    tale = Tale().invoice("a").event("a")
    tale.now += 601
    return tale.message("a").intent("a", "sent")


def late_beside_a_fault() -> Tale:
    """Only what a fault took is not counted."""
    tale = Tale().invoice("a").event("a").fault("redis-cut", "begin", "end", "recovered")
    tale.now += 601
    return tale.message("a").intent("a", "sent")


def begun_long_before() -> Tale:
    """A start that was written down wrongly would excuse a demand after the payment."""
    return sent().attempt("a", "r1", 40.0, "accepted")


def begun_afterwards() -> Tale:
    return sent().attempt("a", "r1", 110.0, "accepted")


def in_another_name() -> Tale:
    tale = Tale().invoice("a").event("a").intent("a", "sent")
    return tale.journal("whatsapp.message", template="invoice_issued", number="INV-a", tenant="t2")


def reminded_after_a_change(seconds: float) -> Tale:
    """Of the amount before."""
    tale = sent_to().add("change", invoice="a", to="total", value="2000.00").event("a", "changed")
    tale.snapshot("a", total="2000.00").now += seconds
    fields: dict[str, Any] = {"template": "invoice_overdue", "number": "INV-a", "to": "aa", "amount": "₹1,000.00"}
    tale.add("scan", tenant=TENANT, invoices=["a"], asked_at=1.0, accepted=True)
    return tale.journal("whatsapp.message", **fields)


def tells_what_was_owed_before() -> Tale:
    return reminded_after_a_change(601)


WRONG: list[tuple[str, Callable[[], Tale]]] = [
    ("lost", lost),
    ("lost", lost_change),
    ("lost", lost_payment),
    ("lost", never_swept),
    ("unfinished", unfinished),
    ("unfinished", left_in_a_queue),
    ("duplicate", duplicate),
    ("duplicate", two_stages),
    ("unexpected", unexpected),
    ("unexpected", unexpected_thanks),
    ("unexpected", nameless),
    ("phantom", phantom),
    ("abandoned", abandoned),
    ("abandoned", abandoned_by_nobody),
    ("wrongly_suppressed", wrongly_suppressed),
    ("after_payment", stale),
    ("after_payment", after_payment),
    ("order", order),
    ("poison_lost", poison_lost),
    ("poison_attempts", poison_again_and_again),
    ("poison_attempts", poison_kills_for_ever),
    ("poison_lost", killer_let_go),
    ("poison_attempts", killer_kills_on),
    ("innocent_parked", innocent_parked),
    ("misdirected", lambda: sent_to(to="bb")),
    ("planned_twice", planned_twice),
    ("late", late),
    ("late", late_beside_a_fault),
    ("wrong_start", begun_long_before),
    ("wrong_start", begun_afterwards),
    ("misdirected", in_another_name),
    ("misdirected", tells_what_was_owed_before),
]
ALSO = {"phantom": {"lost"}, "stale": {"order"}, "after_payment": {"order"}}
"""What is wrong in two ways."""


def accepted_after_refusals() -> Tale:
    tale = Tale().invoice("a").add("post", post="x", events=[{"invoice": "a", "tenant": TENANT, "kind": "issued"}])
    tale.records[-1] = {**tale.records[-1], "forged": None}
    for attempt, status in enumerate((503, 503, 200)):
        tale.add("answer", post="x", attempt=attempt, status=status, ms=5.0, error=None)
    return tale.message("a").intent("a", "sent")


def refused_and_sent() -> Tale:
    """The confirm came too late for the answer: the event was in all the same."""
    return sent().invoice("b").event("b", status=503).message("b").intent("b", "sent")


def paid_before_it_was_known() -> Tale:
    tale = Tale().invoice("a").event("a").paid("a").event("a", "paid")
    return tale.decision("a", "skip", "paid").snapshot("a", "PAID")


def under_way_when_paid() -> Tale:
    """Begun before the payment was known, arrived after it."""
    tale = Tale().invoice("a").event("a").paid("a").event("a", "paid")
    tale.decision("a", "plan", "due", kind="paid", at=tale.now).attempt("a", "r1", tale.now - 5, "accepted")
    tale.message("a", reference="r1").attempt("a", "r2", tale.now + 1, "accepted")
    return tale.message("a", "invoice_paid", reference="r2")


def in_flight_when_its_sender_died() -> Tale:
    tale = sent().process("notifier-1", 5).process("notifier-1", 6)
    for number in range(IN_FLIGHT):
        tale.attempt("a", f"t{number}", 1.0, None)
    return tale


def late_through_a_fault() -> Tale:
    tale = Tale().invoice("a").event("a").fault("redis-cut", "begin")
    tale.attempt("a", "r1", tale.now, "accepted").now += 700
    number = tale.records[-2]["number"]
    for phase in ("end", "recovered"):
        tale.add("fault", number=number, name="redis-cut", phase=phase)
    return tale.message("a", reference="r1").intent("a", "sent")


def begun_by_another_clock() -> Tale:
    tale = sent().fault("clock-notifier-forward", "begin", "end", "recovered", moves_clock=True)
    return tale.attempt("a", "r1", tale.now + 3600, "accepted")


def read_shortly_before_the_change() -> Tale:
    return reminded_after_a_change(500)


def in_its_own_name() -> Tale:
    tale = Tale().invoice("a").event("a").intent("a", "sent")
    return tale.journal("whatsapp.message", template="invoice_issued", number="INV-a", tenant=TENANT)


RIGHT: list[Callable[[], Tale]] = [
    sent,
    in_flight_when_its_sender_died,
    accepted_after_refusals,
    refused_and_sent,
    paid_before_it_was_known,
    under_way_when_paid,
    late_through_a_fault,
    begun_by_another_clock,
    read_shortly_before_the_change,
    in_its_own_name,
]
