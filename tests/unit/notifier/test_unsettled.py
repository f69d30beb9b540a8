"""When a first alert without an end may be sent once more."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from notifier.model import Intent, Snapshot
from notifier.unsettled import PATIENCE, Heard, Unanswered, may_be_resent, webhooks_are_alive
from shared.contracts.messages import MessageKind, MessageState
from shared.policy import TenantPolicy
from support.builders import NOON, TENANT, make_enriched

ALLOWED = TenantPolicy(resend_unsettled_alerts=True)
MINUTE = timedelta(minutes=1)
LATER = NOON + PATIENCE + MINUTE


def heard(after: timedelta, took: timedelta = MINUTE) -> Heard:
    return Heard(NOON + after, NOON + after + took)


def message(*later: Heard, silent: int = 0, **changes: object) -> Unanswered:
    intent = Intent(
        intent_id="i",
        tenant_id=TENANT,
        invoice_id="invoice",
        invoice_number="INV-1",
        contact_id="c",
        kind=MessageKind.ISSUED,
        stage=None,
        state=MessageState.UNKNOWN,
        reason="no_answer_ReadTimeout",
        due_on=None,
        due_at=NOON,
        created_at=NOON,
        claimed_at=NOON,
        released=False,
        tries=1,
        correlation_id=None,
    )
    intent = replace(intent, **changes)  # type: ignore[arg-type]  # fields by name
    return Unanswered(intent, Snapshot.of(make_enriched()), NOON, resent=False, later=later, silent=silent)


PROVEN = message(heard(PATIENCE))


@pytest.mark.parametrize(
    ("unanswered", "alive"),
    [
        (message(), False),
        (PROVEN, True),
        (message(heard(PATIENCE - MINUTE)), True),
        # Heard of before the message's own status was overdue.
        (message(heard(timedelta(seconds=10))), False),
        (message(heard(PATIENCE - 2 * MINUTE)), False),
        # Heard of so late that the message's own may be as late: the webhooks had an outage.
        (message(heard(MINUTE, took=PATIENCE + MINUTE)), False),
        (message(heard(-MINUTE, took=PATIENCE + MINUTE)), False),
        (message(heard(MINUTE, took=PATIENCE + MINUTE), heard(PATIENCE)), True),
        # A neighbour that WhatsApp took was never told of either.
        (message(heard(PATIENCE), silent=1), False),
    ],
)
def test_what_proves_that_webhooks_are_alive(unanswered: Unanswered, alive: bool) -> None:
    assert webhooks_are_alive(unanswered) is alive


@pytest.mark.parametrize(
    ("unanswered", "rules", "now", "may"),
    [
        (PROVEN, ALLOWED, LATER, True),
        (PROVEN, TenantPolicy(), LATER, False),
        (PROVEN, ALLOWED, NOON + PATIENCE - MINUTE, False),
        (PROVEN, ALLOWED, NOON + timedelta(days=8), False),
        (replace(PROVEN, resent=True), ALLOWED, LATER, False),
        (message(heard(PATIENCE), kind=MessageKind.REMINDER, stage=7), ALLOWED, LATER, False),
        (message(heard(PATIENCE), kind=MessageKind.PAID), ALLOWED, LATER, False),
        (message(), ALLOWED, LATER, False),
    ],
)
def test_which_message_may_be_sent_once_more(
    unanswered: Unanswered, rules: TenantPolicy, now: datetime, may: bool
) -> None:
    assert may_be_resent(unanswered, rules, now) is may
