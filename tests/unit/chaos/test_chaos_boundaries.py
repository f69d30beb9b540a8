"""What a death at a named point had in hand, and what became of it."""

from chaos.boundaries import boundaries
from chaos.figures import figures_of
from chaos.outcomes import judged
from chaos.report import again, markdown
from unit.chaos.telling import Tale, sent


def told(tale: Tale) -> dict[str, tuple[int, bool, dict[str, int]]]:
    seen = tale.seen()
    return {one.point: (one.times, one.held, dict(one.became)) for one in boundaries(seen, judged(seen))}


def test_events_in_hand_are_found_by_the_invoice_the_intent_or_the_attempt() -> None:
    tale = Tale().invoice("a").event("a").invoice("b").event("b").invoice("c").event("c")
    tale.add("strike", point="ingress-verified", ids=["a"])
    tale.add("strike", point="notifier-claimed", ids=["n2"]).add("strike", point="notifier-claimed", ids=["r3"])
    tale.message("a").message("b").intent("c", "unknown").attempt("c", "r3", 1.0, None)
    tale.add("intent", invoice="b", kind="issued", state="sent", reason=None, intent_id="n2")
    assert told(tale) == {
        "ingress-verified": (1, True, {"sent": 1}),
        "notifier-claimed": (2, True, {"sent": 1, "unknown": 1}),
    }


def test_who_holds_no_event_is_told_of_what_was_under_way() -> None:
    tale = sent("early")
    tale.now += 20
    tale.invoice("a").event("a").add("strike", point="token-broker-claimed", ids=["some-grant"])
    tale.invoice("late").event("late").message("a").message("late")
    assert told(tale) == {"token-broker-claimed": (1, False, {"sent": 1})}


def test_of_an_organisation_that_is_known_only_its_own_events_were_under_way() -> None:
    tale = sent("a").add("strike", point="scheduler-due", ids=["t1"]).add("strike", point="scheduler-due", ids=["t2"])
    tale.add("scan", tenant="t2", invoices=["b"], asked_at=1.0, accepted=True)
    assert told(tale) == {"scheduler-due": (2, False, {"sent": 1})}


def test_what_was_sent_long_before_was_not_in_hand() -> None:
    tale = sent("a")
    tale.now += 100
    assert told(tale.add("strike", point="notifier-learnt", ids=["a"])) == {"notifier-learnt": (1, True, {})}


def test_the_report_has_a_line_for_each_point() -> None:
    tale = sent("a").fault("at-fetcher-taken", "begin", "end", "recovered", kills=1)
    seen = tale.add("strike", point="fetcher-taken", ids=["a"]).seen()
    page = markdown(figures_of(seen), {**seen.run, "day": "today", "machine": "m", "versions": "v", "rounds": 20})
    assert "| fetcher-taken | an event was taken from the queue | 1 | in hand: sent × 1 |" in page
    assert "reached 0 times at least and 1 at most" in page
    assert "| fetcher-handled | the event is handled, not acknowledged | 0 | - |" in page
    assert 'make chaos CHAOS=pr SEED=1 ARGS="--rounds 20"' in page
    assert again({"size": "pr", "seed": 2}) == "make chaos CHAOS=pr SEED=2"
