"""When a message asks for its invoice's online link, how long it waits, and how it leaves without."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from notifier.catalogue import load_catalogue
from notifier.links import LINK_PATIENCE, LinkStep, lacks_link, link_step, why_without_link
from notifier.model import Intent, Snapshot
from notifier.still_wanted import FRESH_FOR
from shared.contracts.messages import MessageKind, MessageState
from shared.policy import TenantPolicy
from support.builders import INVOICE, NOON, TENANT, make_enriched

CATALOGUE = load_catalogue(Path(__file__).parents[3] / "config" / "policy.yaml")
LINK = "https://in.xero.com/abc"
ON = TenantPolicy(online_link=True)


def snapshot(**invoice: Any) -> Snapshot:
    return Snapshot.of(make_enriched(invoice=invoice))


def reminder(stage: int = 7, link_until: datetime | None = None) -> Intent:
    return Intent(
        intent_id="i",
        tenant_id=TENANT,
        invoice_id=INVOICE,
        invoice_number="INV-1042",
        contact_id="c",
        kind=MessageKind.REMINDER,
        stage=stage,
        state=MessageState.PLANNED,
        reason=None,
        due_on=None,
        due_at=NOON,
        created_at=NOON,
        claimed_at=None,
        released=False,
        tries=0,
        correlation_id=None,
        link_until=link_until,
    )


def step(intent: Intent, seen: Snapshot, rules: TenantPolicy = ON, now: datetime = NOON) -> LinkStep:
    return link_step(intent, seen, rules, CATALOGUE, now)


def test_nobody_asks_for_a_link_unless_the_policy_wants_it() -> None:
    assert TenantPolicy().online_link is False
    assert step(reminder(), snapshot(), TenantPolicy()) is LinkStep.GO
    assert step(reminder(), snapshot()) is LinkStep.ASK


@pytest.mark.parametrize(
    "changes",
    [
        {"language": "fr"},
        {"stages": [{"offset_days": 7, "template": "our_own", "lateness_days": 1}]},
        {"stages": [{"offset_days": 14, "template": "invoice_overdue", "lateness_days": 1}]},
    ],
)
def test_nobody_asks_for_a_link_that_the_message_has_no_form_for(changes: dict[str, Any]) -> None:
    rules = TenantPolicy.model_validate({"online_link": True, **changes})
    assert not lacks_link(reminder(), snapshot(), rules, CATALOGUE)
    assert step(reminder(), snapshot(), rules) is LinkStep.GO


def test_a_known_link_or_a_known_reason_is_an_answer() -> None:
    assert step(reminder(), snapshot(online_url=LINK)) is LinkStep.GO
    refused = snapshot(no_link_reason="day_limit")
    assert step(reminder(), refused) is LinkStep.GO
    assert why_without_link(reminder(), refused, ON, CATALOGUE) == "without_link_day_limit"


def test_a_message_waits_for_a_while_and_leaves_without() -> None:
    asked = reminder(link_until=NOON + LINK_PATIENCE)
    assert step(asked, snapshot()) is LinkStep.WAIT
    assert step(asked, snapshot(), now=NOON + LINK_PATIENCE) is LinkStep.GO
    assert why_without_link(asked, snapshot(), ON, CATALOGUE) == "without_link_unanswered"
    assert why_without_link(asked, snapshot(online_url=LINK), ON, CATALOGUE) is None


def test_waiting_ends_while_the_snapshot_is_fresh() -> None:
    assert LINK_PATIENCE < FRESH_FOR


def test_a_request_of_yesterday_is_no_request() -> None:
    asked = reminder(link_until=NOON - timedelta(days=1))
    assert step(asked, snapshot()) is LinkStep.ASK


def test_a_link_once_known_is_not_forgotten() -> None:
    known = Snapshot.of(make_enriched(invoice={"online_url": LINK}, read_at=NOON))
    read = Snapshot.of(make_enriched(invoice={"number": "INV-2"}, read_at=NOON + timedelta(hours=1)))
    assert (read.after(known).invoice.online_url, read.after(known).invoice.number) == (LINK, "INV-2")
    refused = Snapshot.of(make_enriched(invoice={"no_link_reason": "day_limit"}, read_at=NOON + timedelta(hours=1)))
    assert (refused.after(known).invoice.online_url, refused.after(known).invoice.no_link_reason) == (LINK, None)


def test_an_old_refusal_says_nothing_of_today() -> None:
    refused = snapshot(no_link_reason="day_limit")
    read = Snapshot.of(make_enriched(read_at=NOON + timedelta(hours=1)))
    assert read.after(refused).invoice.no_link_reason is None


@pytest.mark.parametrize("answer", [{"online_url": LINK}, {"no_link_reason": "too_slow"}])
def test_an_answer_that_comes_after_a_newer_reading_still_counts(answer: dict[str, str]) -> None:
    newer = Snapshot.of(make_enriched(invoice={"number": "INV-2"}, read_at=NOON + timedelta(minutes=1)))
    late = Snapshot.of(make_enriched(invoice=answer)).after(newer)
    assert (late.invoice.number, late.read_at) == ("INV-2", newer.read_at)
    assert late.invoice.model_dump(include=set(answer)) == answer


def test_without_any_of_it_the_newest_reading_stands_as_it_is() -> None:
    older, newer = snapshot(), Snapshot.of(make_enriched(read_at=NOON + timedelta(minutes=1)))
    assert newer.after(older) == newer == older.after(newer)
    assert older.after(None) == older
