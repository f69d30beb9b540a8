"""Who would be messaged when, and why others not: the coming scans played through the decisions that decide."""

import heapq
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count

from notifier import judge
from notifier.brake import is_unusual
from notifier.contact_hours import recipient_zones
from notifier.decide import decide
from notifier.forecast_book import Facts, ForecastBook, Key
from notifier.foretold import Coming, Forecast, Silent
from notifier.halts import OpenBreaker
from notifier.model import Decision, Intent, Snapshot, Verdict
from notifier.ports import Wave
from notifier.rendering import template_name
from notifier.stages import zone_of
from notifier.still_wanted import still_wanted
from notifier.whatsapp_errors import Scope
from shared.contracts.invoices import Cause, CauseKind
from shared.contracts.messages import MessageKind, MessageState
from shared.policy import TenantPolicy
from shared.scan_times import daily_scan

AHEAD = timedelta(days=7)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_SCAN = Cause(kind=CauseKind.SCAN)
_TRIVIAL = frozenset({"no_stage_due"})


def forecast(facts: Facts, rules: TenantPolicy, now: datetime, ahead: timedelta = AHEAD) -> Forecast:
    """Pure. Every invoice is taken to stay as it was read last, and every fresh look to be answered at once."""
    if not facts.snapshots:
        return Forecast(now, now + ahead, None)
    return _Play(facts, rules, now, now + ahead).forecast()


def coming_scans(tenant_id: str, zone: str, rules: TenantPolicy, now: datetime, until: datetime) -> Iterator[datetime]:
    day = now.astimezone(zone_of(zone)).date()
    while True:
        due = daily_scan(tenant_id, day, zone_of(zone), rules)
        if due is not None and due > until:
            return
        if due is not None and due > now:
            yield due
        day += _DAY


class _Play:
    """One organisation's coming days, moment by moment."""

    def __init__(self, facts: Facts, rules: TenantPolicy, now: datetime, until: datetime) -> None:
        self._facts = facts
        self._rules = rules
        self._now = now
        self._until = until
        self._book = ForecastBook(facts, rules)
        self._snapshots = {item.invoice.invoice_id: item for item in sorted(facts.snapshots, key=_by_id)}
        self._zone = max(facts.snapshots, key=lambda item: item.read_at).organisation.time_zone
        self._turns = count()
        self._agenda: list[tuple[datetime, int, Key | None]] = []
        self._known = {(item.invoice_id, item.kind, item.stage) for item in facts.intents if item.pending}
        self._coming: dict[Key, Coming] = {}
        self._rules_of: dict[str, dict[str, None]] = {invoice_id: {} for invoice_id in self._snapshots}
        self._braked_at = facts.braked_at

    def forecast(self) -> Forecast:
        scans = tuple(coming_scans(self._facts.tenant.tenant_id, self._zone, self._rules, self._now, self._until))
        for intent in self._facts.intents:
            if intent.pending:
                self._wait(intent)
        for moment in scans:
            self._at(moment, None)
        while self._agenda and self._agenda[0][0] <= self._until:
            moment, _, key = heapq.heappop(self._agenda)
            if key is None:
                self._scan(moment)
            else:
                self._leave(key, moment)
        coming = sorted(self._coming.values(), key=lambda item: (item.at, item.snapshot.invoice.number))
        said = {item.snapshot.invoice.invoice_id for item in coming}
        silent = [
            Silent(snapshot, self._why_silent(snapshot))
            for invoice_id, snapshot in self._snapshots.items()
            if invoice_id not in said
        ]
        silent.sort(key=lambda item: (item.rules, item.snapshot.invoice.number))
        return Forecast(self._now, self._until, self._zone, scans, tuple(coming), tuple(silent))

    def _at(self, moment: datetime, key: Key | None) -> None:
        heapq.heappush(self._agenda, (moment, next(self._turns), key))

    def _wait(self, intent: Intent) -> None:
        key, snapshot = (intent.invoice_id, intent.kind, intent.stage), self._snapshots.get(intent.invoice_id)
        if snapshot is None:
            return
        if intent.state is MessageState.HELD:
            moment = judge.contact_moment(snapshot, self._rules, max(intent.due_at, self._now))
            self._note(key, snapshot, moment, intent.reason or "held")
        else:
            self._at(max(intent.due_at, self._now), key)

    def _scan(self, moment: datetime) -> None:
        before = self._rules.due_before(moment.astimezone(zone_of(self._zone)).date())
        for invoice_id, snapshot in self._snapshots.items():
            if snapshot.invoice.status == "AUTHORISED" and _is_before(snapshot.invoice.due_on, before):
                read = snapshot.model_copy(update={"read_at": moment})
                history = self._book.history(read, moment)
                for decision in decide(snapshot, read, _SCAN, self._rules, moment, history):
                    self._carry_out(invoice_id, read, decision, moment)

    def _carry_out(self, invoice_id: str, snapshot: Snapshot, decision: Decision, moment: datetime) -> None:
        key = (invoice_id, decision.kind, decision.stage)
        match decision.verdict:
            case Verdict.CANCEL:
                self._cancel(key, decision.rule)
            case Verdict.PLAN:
                if self._book.plan(snapshot, decision, MessageState.PLANNED, moment):
                    self._at(decision.due_at or moment, key)
            case Verdict.HOLD:
                if self._book.plan(snapshot, decision, MessageState.HELD, moment):
                    self._note(key, snapshot, decision.due_at or moment, decision.rule)
            case Verdict.SUPPRESS:
                if self._book.plan(snapshot, decision, MessageState.SUPPRESSED, moment):
                    self._note(key, snapshot, decision.due_at or moment, decision.rule)
            case _:
                self._rules_of[invoice_id][decision.rule] = None

    def _cancel(self, key: Key, rule: str) -> None:
        self._book.change(key, state=MessageState.CANCELLED, reason=rule)
        self._rules_of[key[0]][rule] = None
        noted = self._coming.get(key)
        # What was held when its day came and could not leave then would have been a message of that day.
        if noted is not None and rule != "superseded":
            del self._coming[key]

    def _leave(self, key: Key, moment: datetime) -> None:
        intent, snapshot = self._book.find(key), self._snapshots[key[0]]
        if intent is None or intent.state is not MessageState.PLANNED or intent.due_at > moment:
            return
        read = snapshot.model_copy(update={"read_at": moment})
        history = self._book.history(read, moment, leaving=intent)
        decision = still_wanted(intent, read, self._rules, moment, history)
        match decision.verdict:
            case Verdict.SEND:
                self._send(key, intent, read, moment)
            case Verdict.POSTPONE:
                self._book.change(key, due_at=decision.due_at or moment)
                self._at(decision.due_at or moment, key)
            case Verdict.CANCEL:
                self._cancel(key, decision.rule)
            case _:
                state = MessageState.HELD if decision.verdict is Verdict.HOLD else MessageState.SUPPRESSED
                self._book.change(key, state=state, reason=decision.rule)
                self._note(key, read, judge.contact_moment(read, self._rules, moment), decision.rule)

    def _send(self, key: Key, intent: Intent, snapshot: Snapshot, moment: datetime) -> None:
        if not intent.released and self._is_wave(moment):
            self._braked_at = moment
            for other, held in self._book.planned_unreleased():
                self._book.change(other, state=MessageState.HELD, reason="brake")
                self._note(other, self._snapshots[held.invoice_id], max(held.due_at, moment), "brake")
            return
        self._note(key, snapshot, moment)
        self._book.left(key, snapshot.contact.phone, moment)

    def _is_wave(self, moment: datetime) -> bool:
        lately = self._braked_at is not None and self._braked_at > moment - _HOUR
        waiting, sent = self._book.wave(moment, moment - _HOUR)
        return is_unusual(Wave(waiting, sent, sent, lately), self._rules.brake, self._facts.busiest_hour)

    def _note(self, key: Key, snapshot: Snapshot, at: datetime, held_by: str | None = None) -> None:
        _, kind, stage = key
        template = template_name(kind, stage, self._rules)
        intent = self._book.find(key)
        stops = [held_by] if held_by else []
        stops += self._stops(template, None if intent is None else self._facts.waits_for.get(intent.intent_id))
        self._coming[key] = Coming(
            at.astimezone(UTC),
            _zone_of_person(snapshot, at),
            snapshot,
            kind,
            stage,
            template,
            tuple(stops),
            key in self._known,
        )

    def _stops(self, template: str | None, waits_for: str | None) -> Iterator[str]:
        """What a person or a fault has stopped: as it stands now, since nobody knows when it ends."""
        if self._facts.tenant.lost:
            yield "connection_lost"
        if self._facts.halts.is_paused(self._facts.tenant.tenant_id):
            yield "paused"
        for item in self._facts.halts.breakers:
            if item.key == waits_for or _concerns(item, self._facts.tenant.tenant_id, template):
                yield f"stopped:{item.reason}"

    def _why_silent(self, snapshot: Snapshot) -> tuple[str, ...]:
        said = self._rules_of[snapshot.invoice.invoice_id]
        rules = tuple(rule for rule in said if rule not in _TRIVIAL)
        if rules:
            return rules
        last = [item for item in self._book.history(snapshot, self._now).intents if item.kind is MessageKind.REMINDER]
        if last and not said:
            newest = max(last, key=lambda item: item.stage if item.stage is not None else -99_999)
            return (f"already_{newest.state.value}",)
        return (
            judge.why_not_owed(snapshot.invoice) or ("no_due_date" if not snapshot.invoice.due_on else "no_stage_due"),
        )


def _zone_of_person(snapshot: Snapshot, at: datetime) -> str:
    """The organisation's own name for it where the clocks show the same."""
    organisation = snapshot.organisation
    home = organisation.time_zone
    if snapshot.contact.phone is None:
        return home
    zone = recipient_zones(snapshot.contact.phone, home, organisation.country, at)[0]
    same = at.astimezone(zone).utcoffset() == at.astimezone(zone_of(home)).utcoffset()
    return home if same else str(zone)


def _concerns(item: OpenBreaker, tenant_id: str, template: str | None) -> bool:
    if item.scope in {Scope.ACCOUNT, Scope.NUMBER}:
        return True
    return item.name == (tenant_id if item.scope is Scope.TENANT else template)


def _by_id(snapshot: Snapshot) -> str:
    """The order in which a scan reads."""
    return snapshot.invoice.invoice_id


def _is_before(due_on: date | None, before: date) -> bool:
    return due_on is None or due_on < before
