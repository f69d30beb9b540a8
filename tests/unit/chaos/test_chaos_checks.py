"""Each check sees a one: a history with exactly one thing wrong is found, by that check alone."""

from collections.abc import Callable
from typing import Any

import pytest

from chaos.checks import CHECKS, violations
from notifier.sender import IN_FLIGHT
from unit.chaos.telling import TENANT, Tale, sent, sent_to
from unit.chaos.test_chaos_promises import BROKEN as PROMISED

LENIENT = "xero-reset"


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
        tale.attempt("a", f"r{number}", 1.0, None)
    return tale


def abandoned_by_nobody() -> Tale:
    return sent().process("notifier-1", 5).process("notifier-2", 6).attempt("a", "r1", 1.0, None)


def wrongly_suppressed() -> Tale:
    return Tale().invoice("a").event("a").decision("a", "skip", "not_newly_issued").snapshot("a")


def stale() -> Tale:
    tale = sent().paid("a").event("a", "paid").snapshot("a", "PAID").decision("a", "skip", "paid")
    tale.now += 700
    scan = tale.add("scan", tenant=TENANT, invoices=["a"], asked_at=1.0, accepted=True)
    return scan.message("a", "invoice_overdue").message("a", "invoice_paid")


def after_payment() -> Tale:
    tale = sent().paid("a").event("a", "paid").message("a", "invoice_paid", reference="r2")
    tale.decision("a", "plan", "due", kind="paid", at=tale.now - 20).attempt("a", "r2", tale.now, "accepted")
    tale.add("scan", tenant=TENANT, invoices=["a"], asked_at=1.0, accepted=True)
    return tale.message("a", "invoice_overdue", reference="r3").attempt("a", "r3", tale.now - 10, "accepted")


def order() -> Tale:
    tale = Tale().invoice("a").event("a").paid("a").event("a", "paid").message("a", "invoice_paid")
    return tale.message("a")


def forged_accepted() -> Tale:
    return sent().invoice("b").event("b", status=200, forged="no signature")


def forged_got_in() -> Tale:
    return sent().invoice("b").event("b", status=401, forged="no signature").snapshot("b")


def server_errors() -> Tale:
    return sent().invoice("b").event("b", status=500, forged="no signature")


def slow_answers() -> Tale:
    return sent().event("a", ms=5001)


def slow_refusals() -> Tale:
    return sent().event("a", status=503, ms=2600)


def token_reuse() -> Tale:
    tale = sent().journal("xero.token", grant="refresh_token", refresh_token="aa")
    return tale.journal("xero.token", grant="refresh_token", refresh_token="aa")


def reuse_told() -> Tale:
    return sent().journal("xero.breach", rule="token_reuse", token="aa")


def limit_told() -> Tale:
    return sent().journal("xero.breach", rule="limit_minute", tenant=TENANT)


def too_many_calls() -> Tale:
    tale = sent()
    for number in range(61):
        tale.add("journal", at=200 + number * 0.9, kind="xero.api", tenant=TENANT, status=200, ms=2.0)
    return tale


def too_many_at_once() -> Tale:
    tale = sent()
    for number in range(6):
        tale.add("journal", at=200 + number * 0.1, kind="xero.api", tenant=TENANT, status=200, ms=900.0)
    return tale


def forgotten() -> Tale:
    return sent().add("remembered", calls=7, forgotten=1)


def poison_lost() -> Tale:
    return sent().add("poison", marker="poison-1", queue="fetcher.x", form="no JSON")


def poison_again_and_again() -> Tale:
    letter: dict[str, Any] = {"queue": "fetcher.dead", "reason": "unexpected_X", "source": "x", "ids": ["poison-1"]}
    return sent().add("poison", marker="poison-1", queue="fetcher.x", form="a killer").add("dead", **letter, attempts=9)


def poison_kills_for_ever() -> Tale:
    tale = sent().add("poison", marker="poison-1", queue="fetcher.x", form="a killer")
    for _ in range(11):
        tale.add("strike", point="fetcher-marked", ids=["poison-1"])
    return tale.add("waiting", queue="fetcher.x", reason="unknown", source=None, ids=["poison-1"], attempts=None)


def innocent_parked() -> Tale:
    letter: dict[str, Any] = {"queue": "fetcher.dead", "reason": "consumer_lost", "source": "x", "attempts": None}
    killer = sent().add("poison", marker="poison-1", queue="fetcher.x", form="a killer")
    killer.add("strike", point="fetcher-marked", ids=["poison-1"]).add("dead", ids=["poison-1"], **letter)
    return killer.add("dead", ids=["a", "somebody"], **letter)


def number_in_log() -> Tale:
    return sent().add("leak", log="notifier", event="message.sent", lines=2)


def not_played() -> Tale:
    return sent().add("left_out", name="redis-kill", why="no time left", wanted=True)


def never_recovered() -> Tale:
    return sent().fault("kill-fetcher", "begin", "end")


def never_happened() -> Tale:
    return sent().fault("redis-cut", "begin", "end", "missed", "recovered")


def late_return() -> Tale:
    return sent().fault("rabbitmq-kill", "begin", "end", "recovered", back_within=30.0, ready=30.1)


def hostile_accepted() -> Tale:
    return sent().attack().thrown("two signatures", "401", 2, {"401": 1, "200": 1})


def hostile_route_accepted() -> Tale:
    return sent().attack("hostile-routes").thrown("paths and methods", "no", 2, {"404": 1, "204": 1})


def hostile_error() -> Tale:
    return sent().attack("hostile-deep").thrown("nested lists, forged", "401", 2, {"401": 1, "500": 1})


def forged_answered_otherwise() -> Tale:
    return sent().attack().thrown("no signature", "401", 2, {"401": 1, "400": 1})


def forged_answered_with_a_body() -> Tale:
    return sent().attack().thrown("no signature", "401", 2, {"401": 2}, bodies=1)


def answered_with_a_cookie() -> Tale:
    return sent().attack("hostile-routes").thrown("health", "200", 2, {"200": 2}, bodies=2, cookies=1)


def signed_and_refused() -> Tale:
    return sent().attack("hostile-deep").thrown("nested lists, signed", "200", 2, {"200": 1, "401": 1})


def honest_refused() -> Tale:
    return sent().attack().honest(401)


def honest_unanswered() -> Tale:
    return sent().attack("hostile-slow").honest(None)


def honest_handshake_taken() -> Tale:
    """The wrong half of a round has to be refused."""
    return sent().attack().honest(200, wanted=401)


def slow_while_attacked() -> Tale:
    return sent().attack("hostile-slow", full=True).honest(200, ms=1001)


def too_much_memory() -> Tale:
    return sent().attack("hostile-huge").door("during", rss=257 << 20)


def a_leak() -> Tale:
    return sent().attack(full=True).door("after", rss=100 << 20)


def door_died() -> Tale:
    return sent().attack().door("after", pid=8)


def files_kept() -> Tale:
    return sent().attack("hostile-slow").door("after", files=120)


def unreplicated() -> Tale:
    return sent().add("replicas", queue="token-broker.token.access", members=1, of=3)


def accepted_without_majority() -> Tale:
    return sent().add("majority", gone=True).event("a").add("majority", gone=False)


def accepted_before_the_majority_came_back() -> Tale:
    return sent().add("majority", gone=True).event("a")


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
    ("forged_accepted", forged_accepted),
    ("forged_accepted", forged_got_in),
    ("server_errors", server_errors),
    ("slow_answers", slow_answers),
    ("slow_refusals", slow_refusals),
    ("forged_accepted", hostile_accepted),
    ("forged_accepted", hostile_route_accepted),
    ("server_errors", hostile_error),
    ("refused_wrongly", forged_answered_otherwise),
    ("refused_wrongly", forged_answered_with_a_body),
    ("refused_wrongly", answered_with_a_cookie),
    ("refused_wrongly", signed_and_refused),
    ("honest_refused", honest_refused),
    ("honest_refused", honest_unanswered),
    ("honest_refused", honest_handshake_taken),
    ("slow_while_attacked", slow_while_attacked),
    ("door_memory", too_much_memory),
    ("door_memory", a_leak),
    ("door_died", door_died),
    ("door_files", files_kept),
    ("token_reuse", token_reuse),
    ("token_reuse", reuse_told),
    ("limit_breach", limit_told),
    ("limit_breach", too_many_calls),
    ("limit_breach", too_many_at_once),
    ("forgotten", forgotten),
    ("poison_lost", poison_lost),
    ("poison_attempts", poison_again_and_again),
    ("poison_attempts", poison_kills_for_ever),
    ("innocent_parked", innocent_parked),
    ("number_in_log", number_in_log),
    ("misdirected", lambda: sent_to(to="bb")),
    ("never_recovered", never_recovered),
    ("not_played", not_played),
    ("never_happened", never_happened),
    ("late_return", late_return),
    ("unreplicated", unreplicated),
    ("accepted_without_majority", accepted_without_majority),
    ("accepted_without_majority", accepted_before_the_majority_came_back),
]
ALSO = {"phantom": {"lost"}, "stale": {"order"}, "after_payment": {"order"}}
"""What is wrong in two ways."""


@pytest.mark.parametrize(("check", "tale"), WRONG, ids=[tale.__name__ for _, tale in WRONG])
def test_one_thing_wrong_is_seen_by_its_check_and_by_no_other(check: str, tale: Callable[[], Tale]) -> None:
    found = {violation.check for violation in violations(tale().seen())}
    assert check in found
    assert found <= {check} | ALSO.get(tale.__name__, set())


def test_every_check_has_a_history_that_it_finds() -> None:
    assert {check for check, _ in (*WRONG, *PROMISED)} == set(CHECKS)


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


def answer_made_to_vanish() -> Tale:
    tale = sent().fault(LENIENT, "begin", loses_answers=True)
    number = tale.records[-1]["number"]
    tale.journal("xero.token", grant="refresh_token", refresh_token="aa")
    tale.add("fault", number=number, name=LENIENT, phase="end").add(
        "fault", number=number, name=LENIENT, phase="recovered"
    )
    return tale.journal("xero.token", grant="refresh_token", refresh_token="aa")


def under_way_when_paid() -> Tale:
    """Begun before the payment was known, arrived after it."""
    tale = Tale().invoice("a").event("a").paid("a").event("a", "paid")
    tale.decision("a", "plan", "due", kind="paid", at=tale.now).attempt("a", "r1", tale.now - 5, "accepted")
    tale.message("a", reference="r1").attempt("a", "r2", tale.now + 1, "accepted")
    return tale.message("a", "invoice_paid", reference="r2")


def in_flight_when_its_sender_died() -> Tale:
    tale = sent().process("notifier-1", 5).process("notifier-1", 6)
    for number in range(IN_FLIGHT):
        tale.attempt("a", f"r{number}", 1.0, None)
    return tale


def back_in_time() -> Tale:
    return sent().fault("rabbitmq-kill", "begin", "end", "recovered", back_within=30.0, ready=9.0)


def attacked() -> Tale:
    return sent().attack().attack("hostile-slow").attack(full=True)


def slow_in_a_small_attack() -> Tale:
    """Times are judged where there are enough of them, on a machine of which one knows what it has to do."""
    return sent().attack("hostile-slow").honest(200, ms=1500)


def put_off_while_the_broker_is_away() -> Tale:
    tale = sent().fault("rabbitmq-kill", "begin", "end")
    ended = tale.records[-1]
    return tale.attack().honest(503).add("fault", number=ended["number"], name="rabbitmq-kill", phase="recovered")


def around_a_minority() -> Tale:
    """Refused while it lasted; one asked for before, and one answered after."""
    tale = sent().add("replicas", queue="q", members=3, of=3).add("majority", gone=True)
    tale.event("a", ms=4000).event("a", status=503).add("majority", gone=False)
    return tale.event("a")


RIGHT = [
    attacked,
    slow_in_a_small_attack,
    put_off_while_the_broker_is_away,
    sent,
    in_flight_when_its_sender_died,
    back_in_time,
    accepted_after_refusals,
    refused_and_sent,
    paid_before_it_was_known,
    answer_made_to_vanish,
    under_way_when_paid,
    around_a_minority,
]


@pytest.mark.parametrize("tale", RIGHT, ids=lambda tale: str(tale.__name__))
def test_what_is_right_is_let_pass(tale: Callable[[], Tale]) -> None:
    assert violations(tale().seen()) == []


def test_sixty_calls_a_minute_and_five_at_once_are_allowed() -> None:
    tale = sent()
    for number in range(180):
        tale.add("journal", at=200 + number * 1.0, kind="xero.api", tenant=TENANT, status=200, ms=900.0)
    assert violations(tale.seen()) == []
