"""Who got what: another recipient or amount is found; and what is not settled is not forgotten."""

from pathlib import Path

import pytest

from chaos.checks import violations
from chaos.history import History
from chaos.suited import amount_in
from unit.chaos.telling import Tale, sent_to


def test_the_right_one_is_told_the_right_amount() -> None:
    assert violations(sent_to().seen()) == []
    changed = sent_to(amount="₹1,500.50").add("change", invoice="a", to="total", value="1500.50")
    assert violations(changed.seen()) == []


@pytest.mark.parametrize("wrong", [sent_to(to="bb"), sent_to(amount="₹100,000.00"), sent_to(amount="₹0.00")])
def test_another_recipient_or_amount_is_found(wrong: Tale) -> None:
    assert [found.check for found in violations(wrong.seen())] == ["misdirected"]


@pytest.mark.parametrize(("text", "amount"), [("₹12,34,500.00", "1234500.00"), ("INR 5", "5"), ("£9.10", "9.10")])
def test_an_amount_is_read_as_customers_read_it(text: str, amount: str) -> None:
    assert str(amount_in(text)) == amount


def test_what_was_accepted_after_a_fault_is_not_forgotten_with_it(tmp_path: Path) -> None:
    with History(tmp_path / "history.jsonl", lambda: 0.0) as history:
        for post, answered in (("p1", 2.0), ("p2", 9.0)):
            history.add("post", at=1.0, post=post, events=[], forged=None)
            history.add("answer", at=answered, post=post, status=200)
        history.forget(5.0)
        assert [row["post"] for row in history.recent] == ["p2", "p2"]
