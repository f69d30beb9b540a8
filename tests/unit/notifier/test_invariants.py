"""What no combination of invoice, history, policy and hour may ever lead to."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.contact_hours import next_contact_moment, public_holidays, shared_contact_moment
from notifier.decide import decide
from notifier.model import History, Snapshot, Tenant, Verdict
from notifier.still_wanted import still_wanted
from shared.contracts.invoices import Cause, CauseKind
from shared.contracts.messages import MessageKind, MessageState
from shared.policy import ContactHours
from support.builders import NOON, TENANT, make_enriched
from unit.notifier.test_decide import intent, rules

PHONES = ("+919876543210", "+447911123456", "+14155552671", "+61412345678", "+6421123456")
ZONES = (
    "Asia/Kolkata",
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "Nowhere/None",
)
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

moments = st.integers(-800_000, 800_000).map(lambda minutes: NOON + timedelta(minutes=minutes))


@st.composite
def hours(draw: st.DrawFn) -> ContactHours:
    start = draw(st.integers(0, 1438))
    return ContactHours(
        start=start,
        end=draw(st.integers(start + 1, 1440)),
        days=tuple(draw(st.sets(st.sampled_from(WEEK), min_size=1))),
        holidays=draw(st.booleans()),
    )


def is_open(moment: datetime, zone: ZoneInfo, hours_: ContactHours, country: str) -> bool:
    wall = moment.astimezone(zone)
    minute = wall.hour * 60 + wall.minute
    free = hours_.holidays and wall.date() in public_holidays(country)
    return WEEK[wall.weekday()] in hours_.days and hours_.start <= minute < hours_.end and not free


@given(moments, st.sampled_from(ZONES[:-1]), hours())
def test_the_next_moment_is_open_and_not_in_the_past(now: datetime, zone: str, hours_: ContactHours) -> None:
    moment = next_contact_moment(now, ZoneInfo(zone), hours_, public_holidays("IN"))
    assert moment >= now
    assert is_open(moment, ZoneInfo(zone), hours_, "IN")


@given(moments, st.sampled_from(ZONES[:-1]), hours())
@settings(max_examples=60)
def test_nothing_open_lies_before_the_next_moment(now: datetime, zone: str, hours_: ContactHours) -> None:
    moment = next_contact_moment(now, ZoneInfo(zone), hours_, frozenset())
    free = hours_.model_copy(update={"holidays": False})
    step = timedelta(minutes=7)
    earlier = (now + step * count for count in range(int((moment - now) / step) + 1))
    assert not any(is_open(time, ZoneInfo(zone), free, "IN") for time in earlier if time < moment)


@st.composite
def situations(draw: st.DrawFn) -> dict[str, Any]:
    now = draw(moments)
    today = now.date()
    due_on = today - timedelta(days=draw(st.integers(-10, 60)))
    intents = draw(
        st.lists(
            st.builds(
                intent,
                kind=st.just(MessageKind.REMINDER),
                stage=st.sampled_from([-3, 0, 3, 7, 14, 30]),
                state=st.sampled_from(list(MessageState)),
                due_on=st.sampled_from([due_on, due_on - timedelta(days=1)]),
                claimed_at=st.sampled_from([None, NOON]),
                released=st.booleans(),
            ),
            max_size=4,
            unique_by=lambda made: made.stage,
        )
    )
    paid = draw(st.booleans())
    snapshot = Snapshot.of(
        make_enriched(
            invoice={
                "type": draw(st.sampled_from(["ACCREC", "ACCREC", "ACCPAY"])),
                "status": draw(st.sampled_from(["DRAFT", "AUTHORISED", "AUTHORISED", "PAID", "VOIDED", "DELETED"])),
                "amount_due": 0 if paid else 100,
                "amount_paid": 100 if paid else 0,
                "due_on": draw(st.sampled_from([due_on, due_on, None])),
                "issued_on": draw(st.sampled_from([None, today, date(2020, 1, 1)])),
                "expected_payment_on": draw(st.sampled_from([None, today + timedelta(days=3)])),
            },
            contact={"phone": draw(st.sampled_from(PHONES))},
            organisation={"time_zone": draw(st.sampled_from(ZONES))},
            read_at=now,
        )
    )
    return {
        "now": now,
        "snapshot": snapshot,
        "cause": Cause(kind=draw(st.sampled_from(list(CauseKind))), event_type=draw(st.sampled_from([None, "CREATE"]))),
        "policy": rules(
            mode=draw(st.sampled_from(["live", "approval", "preview"])),
            alerts={"issued": True, "paid": draw(st.booleans())},
        ),
        "history": History(
            tenant=Tenant(TENANT, draw(moments), announced=draw(st.booleans()), lost=False),
            intents=tuple(intents),
            opted_out=draw(st.booleans()),
            reminders_this_week=draw(st.integers(0, 4)),
        ),
    }


def owed(snapshot: Snapshot) -> bool:
    invoice = snapshot.invoice
    return invoice.type == "ACCREC" and invoice.status == "AUTHORISED" and invoice.amount_due > 0


@given(situations())
@settings(max_examples=400, deadline=None)
def test_what_is_decided(case: dict[str, Any]) -> None:
    snapshot, history, policy = case["snapshot"], case["history"], case["policy"]
    decisions = decide(None, snapshot, case["cause"], policy, case["now"], history)
    said = [d for d in decisions if d.verdict in {Verdict.PLAN, Verdict.HOLD, Verdict.SUPPRESS}]
    reminders = [d for d in said if d.kind is MessageKind.REMINDER]
    cancelled = {d.stage for d in decisions if d.verdict is Verdict.CANCEL}
    waiting = {made.stage for made in history.intents if made.pending} - cancelled
    assert len(reminders) <= 1
    if reminders:
        assert owed(snapshot)
        assert case["cause"].kind is CauseKind.SCAN
        assert waiting == set()
        assert (
            all((made.stage or 0) <= (reminders[0].stage or 0) for made in history.intents if made.pending) or cancelled
        )
    assert not (said and history.opted_out)
    assert not (policy.mode != "live" and any(d.verdict is Verdict.PLAN for d in decisions))
    keys = [(d.kind, d.stage) for d in decisions if d.verdict is not Verdict.CANCEL]
    assert len(keys) == len(set(keys))


@given(situations(), st.sampled_from([-3, 0, 3, 7, 14, 30]), st.booleans())
@settings(max_examples=400, deadline=None)
def test_what_leaves(case: dict[str, Any], stage: int, released: bool) -> None:
    snapshot, policy, now = case["snapshot"], case["policy"], case["now"]
    item = intent(stage=stage, due_on=snapshot.invoice.due_on, created_at=now, released=released)
    decision = still_wanted(item, snapshot, policy, now, case["history"])
    if decision.verdict is Verdict.SEND:
        assert owed(snapshot)
        assert not case["history"].opted_out
        assert snapshot.invoice.expected_payment_on is None
        assert case["history"].reminders_this_week < 3
        assert policy.mode != "preview"
        if snapshot.contact.phone == PHONES[0]:
            assert is_open(now, ZoneInfo("Asia/Kolkata"), policy.contact_hours, "IN")
    if decision.verdict is Verdict.POSTPONE:
        assert decision.due_at is not None
        assert decision.due_at > now


@given(
    st.integers(-40, 80),
    st.dictionaries(st.integers(-30, 60), st.integers(0, 40), min_size=1, max_size=8),
    st.sets(st.integers(-30, 60)),
)
@settings(max_examples=300, deadline=None)
def test_the_stage_is_the_latest_reached_unsent_and_in_time(days: int, stages: dict[int, int], sent: set[int]) -> None:
    policy = rules(
        stages=[{"offset_days": o, "template": "invoice_overdue", "lateness_days": late} for o, late in stages.items()]
    )
    earlier = [
        intent(stage=stage, state=MessageState.SENT, claimed_at=NOON - timedelta(days=90), intent_id=f"i{stage}")
        for stage in sent
    ]
    snapshot = Snapshot.of(make_enriched(invoice={"due_on": NOON.date() - timedelta(days=days)}))
    known = Tenant(TENANT, NOON - timedelta(days=9000), announced=True, lost=False)
    decisions = decide(None, snapshot, Cause(kind=CauseKind.SCAN), policy, NOON, History(known, tuple(earlier)))
    latest = max((offset for offset in stages if offset <= days), default=None)
    if latest is None:
        assert [d.rule for d in decisions] == ["no_stage_due"]
    elif latest in sent:
        assert decisions == []
    else:
        in_time = days <= latest + stages[latest]
        assert [(d.stage, d.rule) for d in decisions] == [(latest, "due" if in_time else "too_late")]


@given(situations(), st.lists(st.integers(0, 60 * 72), min_size=1, max_size=3), st.sampled_from([0, 3, 7, 14]))
@settings(max_examples=300, deadline=None)
def test_no_second_reminder_of_an_invoice_on_a_day(case: dict[str, Any], minutes: list[int], stage: int) -> None:
    snapshot, now = case["snapshot"], case["now"]
    earlier = [
        intent(stage=-number, state=MessageState.DELIVERED, claimed_at=now - timedelta(minutes=ago))
        for number, ago in enumerate(minutes, start=100)
    ]
    past = replace(case["history"], intents=tuple(earlier))
    item = intent(stage=stage, due_on=snapshot.invoice.due_on)
    leaves = still_wanted(item, snapshot, case["policy"], now, past).verdict is Verdict.SEND
    planned = any(
        d.verdict is Verdict.PLAN
        for d in decide(None, snapshot, Cause(kind=CauseKind.SCAN), case["policy"], now, past)
        if d.kind is MessageKind.REMINDER
    )
    if leaves or planned:
        zones = [snapshot.organisation.time_zone] if snapshot.organisation.time_zone != ZONES[-1] else []
        zones += {PHONES[0]: ["Asia/Kolkata"], PHONES[1]: ["Europe/London"]}.get(snapshot.contact.phone, [])
        for zone in map(ZoneInfo, zones):
            assert now.astimezone(zone).date() not in {
                i.claimed_at.astimezone(zone).date() for i in earlier if i.claimed_at
            }


@given(situations())
@settings(max_examples=200, deadline=None)
def test_the_same_question_has_the_same_answer(case: dict[str, Any]) -> None:
    asked = (None, case["snapshot"], case["cause"], case["policy"], case["now"], case["history"])
    assert decide(*asked) == decide(*asked)


@given(situations(), st.sampled_from(["paid", "voided", "deleted", "credited", "moved"]))
@settings(max_examples=300, deadline=None)
def test_nothing_waits_for_an_invoice_that_is_done_with_or_moved(case: dict[str, Any], fate: str) -> None:
    snapshot = case["snapshot"]
    done: dict[str, dict[str, Any]] = {
        "paid": {"status": "PAID", "amount_due": 0, "amount_paid": 100},
        "credited": {"status": "PAID", "amount_due": 0, "amount_paid": 0, "amount_credited": 100},
        "voided": {"status": "VOIDED"},
        "deleted": {"status": "DELETED"},
        "moved": {"due_on": date(2031, 1, 1)},
    }
    now_is = snapshot.model_copy(update={"invoice": snapshot.invoice.model_copy(update=done[fate])})
    decisions = decide(snapshot, now_is, case["cause"], case["policy"], case["now"], case["history"])
    cancelled = {d.stage for d in decisions if d.verdict is Verdict.CANCEL and d.kind is MessageKind.REMINDER}
    assert {made.stage for made in case["history"].intents if made.pending} <= cancelled
    assert not [d for d in decisions if d.kind is MessageKind.REMINDER and d.verdict in {Verdict.PLAN, Verdict.HOLD}]


@given(moments, st.sets(st.sampled_from(ZONES[:-1]), min_size=1, max_size=4), hours())
@settings(max_examples=100, deadline=None)
def test_what_several_clocks_allow_one_of_them_always_does(
    now: datetime, names: set[str], hours_: ContactHours
) -> None:
    zones = [ZoneInfo(name) for name in sorted(names)]
    moment = shared_contact_moment(now, zones, hours_, public_holidays("IN"))
    opened = [is_open(moment, zone, hours_, "IN") for zone in zones]
    assert moment >= now
    assert all(opened) or opened[len(zones) // 2]
