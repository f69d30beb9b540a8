"""An organisation's day as it was foretold, in a form that is kept: invoices, stages and times, and no person."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from notifier.forecast import forecast
from notifier.forecast_book import Facts, Key
from notifier.stages import local_date, zone_of
from shared.contracts.messages import MessageKind
from shared.policy import TenantPolicy
from shared.scan_times import first_instant


@dataclass(frozen=True, slots=True)
class Foretold:
    """A message that was to leave ``at``, or to wait for ``held_by``."""

    invoice_id: str
    invoice_number: str
    kind: MessageKind
    stage: int | None
    due_on: date | None
    at: datetime
    held_by: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.invoice_id, self.kind, self.stage


@dataclass(frozen=True, slots=True)
class DayPlan:
    """``others``: of every other open invoice its due date and the rules by which it gets nothing that day."""

    day: date
    made_at: datetime
    ends_at: datetime
    messages: tuple[Foretold, ...]
    others: dict[str, tuple[date | None, tuple[str, ...]]]

    def as_json(self) -> dict[str, Any]:
        return {
            "messages": [
                [m.invoice_id, m.invoice_number, m.kind.value, m.stage, _text(m.due_on), _text(m.at), list(m.held_by)]
                for m in self.messages
            ],
            "others": {key: [_text(due_on), list(rules)] for key, (due_on, rules) in self.others.items()},
        }


def day_plan(facts: Facts, rules: TenantPolicy, now: datetime) -> DayPlan | None:
    """What is left of the organisation's day; None when its zone is not known yet."""
    if not facts.snapshots:
        return None
    zone = max(facts.snapshots, key=lambda item: item.read_at).organisation.time_zone
    day = local_date(now, zone)
    ends_at = first_instant(day + timedelta(days=1), time(0), zone_of(zone))
    said = forecast(facts, rules, now, ends_at - now)
    messages = tuple(
        Foretold(
            item.snapshot.invoice.invoice_id,
            item.snapshot.invoice.number,
            item.kind,
            item.stage,
            item.snapshot.invoice.due_on,
            item.at,
            item.held_by,
        )
        for item in said.coming
        if item.at < ends_at
    )
    known = {item.invoice_id for item in messages}
    others = {item.snapshot.invoice.invoice_id: (item.snapshot.invoice.due_on, item.rules) for item in said.silent}
    for snapshot in facts.snapshots:
        if snapshot.invoice.invoice_id not in known:
            others.setdefault(snapshot.invoice.invoice_id, (snapshot.invoice.due_on, ("foretold_later",)))
    return DayPlan(day, now, ends_at, messages, others)


def read_plan(day: date, made_at: datetime, ends_at: datetime, body: dict[str, Any]) -> DayPlan:
    messages = tuple(
        Foretold(
            row[0], row[1], MessageKind(row[2]), row[3], _date(row[4]), datetime.fromisoformat(row[5]), tuple(row[6])
        )
        for row in body["messages"]
    )
    others = {key: (_date(due_on), tuple(rules)) for key, (due_on, rules) in body["others"].items()}
    return DayPlan(day, made_at, ends_at, messages, others)


def _text(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
