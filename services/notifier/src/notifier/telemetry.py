"""What the notifier says about its work: log lines and figures, with ids and reasons only."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge

from notifier.halts import Halts, OpenBreaker, Switch
from notifier.model import Decision
from notifier.outbox_ports import Backlog
from notifier.ports import Accepted, Outcome, Rejected
from notifier.provider_errors import is_listed
from notifier.rates import Bill
from notifier.reconciliation import Comparison
from notifier.replies import InboundKind
from notifier.whatsapp_errors import ErrorClass
from shared.contracts.messages import MessageChangedV1
from shared.telemetry.logging import get_logger

_log = get_logger(__name__)
_LATE = timedelta(minutes=1)
_LOUD = frozenset({ErrorClass.TEMPLATE, ErrorClass.OURS})


class Figures:
    """The notifier's Prometheus metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.decisions = Counter(
            "duebell_notifier_decisions", "Decisions by verdict and rule", ["verdict", "rule"], registry=registry
        )
        self.attempts = Counter(
            "duebell_notifier_attempts", "Posts to WhatsApp by what came of them", ["outcome"], registry=registry
        )
        self.messages = Counter(
            "duebell_notifier_messages", "Messages that reached a state", ["state"], registry=registry
        )
        self.brakes = Counter("duebell_notifier_brakes", "Waves that were held", registry=registry)
        self.breakers = Gauge(
            "duebell_notifier_breakers_open", "Breakers that are open", ["scope", "reason"], registry=registry
        )
        self.pauses = Gauge("duebell_notifier_pauses", "Pauses that a person ordered", registry=registry)
        self.stops = Counter(
            "duebell_notifier_sender_stops", "Times the sender stopped for an account fault", registry=registry
        )

        self.unknown = Gauge("duebell_notifier_messages_unknown", "Messages nobody knows the end of", registry=registry)
        self.unknown_age = Gauge(
            "duebell_notifier_messages_unknown_oldest_seconds", "Age of the oldest of them", registry=registry
        )
        self.doubled = Gauge(
            "duebell_notifier_messages_doubled", "Messages that arrived more than once, ever", registry=registry
        )
        self.resent = Counter(
            "duebell_notifier_messages_resent", "First alerts sent once more without an end", registry=registry
        )
        self.templates_lost = Counter(
            "duebell_notifier_templates_lost", "Times a template became unusable, by why", ["reason"], registry=registry
        )
        self.inbound = Counter(
            "duebell_notifier_inbound", "Messages that people wrote to us, by kind", ["kind"], registry=registry
        )
        self.cost = Counter(
            "duebell_notifier_cost", "What messages that arrived were billed", ["currency"], registry=registry
        )
        self.unpriced = Counter(
            "duebell_notifier_unpriced",
            "Messages to a market whose rate is not in config/rates",
            ["market"],
            registry=registry,
        )
        self.over_budget = Gauge(
            "duebell_notifier_held_for_budget", "Reminders that a monthly budget holds", registry=registry
        )
        self.confirmations = Counter(
            "duebell_notifier_stop_confirmations",
            "Answers to STOP by what came of them",
            ["outcome"],
            registry=registry,
        )
        self.untold = Gauge("duebell_notifier_untold_changes", "Changes that nobody was told of yet", registry=registry)
        self.untold_age = Gauge(
            "duebell_notifier_untold_age_seconds", "How long the oldest of them waits", registry=registry
        )

        self.removed = Counter(
            "duebell_notifier_removed", "Rows whose time was over, by what they were", ["what"], registry=registry
        )

        self.foretold = Counter(
            "duebell_notifier_foretold", "Messages of a day's plan by what came of it", ["outcome"], registry=registry
        )

    def count_comparison(self, comparison: Comparison) -> None:
        self.foretold.labels("as_foretold").inc(comparison.as_foretold)
        self.foretold.labels("explained").inc(len(comparison.differences) - comparison.unexplained)
        self.foretold.labels("unexplained").inc(comparison.unexplained)

    def count_removed(self, what: str, rows: int) -> None:
        self.removed.labels(what).inc(rows)

    def count_decision(self, decision: Decision) -> None:
        self.decisions.labels(decision.verdict.value, decision.rule).inc()


class SenderLog:
    """Log lines and figures of sending, in one place so that no name or number can slip in."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._over_budget: frozenset[str] = frozenset()

    def changed(self, change: MessageChangedV1) -> None:
        self._figures.messages.labels(change.state.value).inc()
        if change.cost is not None:
            self._figures.cost.labels(change.currency or "").inc(float(change.cost))
        together = {"statement_of": change.statement_of} if change.statement_of else {}
        _log.info("message.changed", **_ids(change), **together, now=change.state.value, reason=change.reason)

    def attempted(self, intent_id: str, outcome: Outcome) -> None:
        self._figures.attempts.labels(type(outcome).__name__.lower()).inc()
        if isinstance(outcome, Accepted):
            _log.info("message.accepted", intent_id=intent_id, held=outcome.held)
            return
        if not isinstance(outcome, Rejected):
            _log.warning("message.unanswered", intent_id=intent_id, reason=outcome.reason)
            return
        error_class = outcome.handling.error_class
        unlisted = outcome.code is not None and not is_listed(outcome.reason)
        log = _log.error if error_class in _LOUD or unlisted else _log.warning
        log("message.rejected", intent_id=intent_id, reason=outcome.reason, error_class=error_class.value)

    def priced(self, bill: Bill | None) -> None:
        if bill is not None and bill.estimate is None:
            self._figures.unpriced.labels(bill.market or "unknown").inc()

    def confirmed(self, reference: str, outcome: Outcome) -> None:
        name = type(outcome).__name__.lower()
        self._figures.confirmations.labels(name).inc()
        reason = None if isinstance(outcome, Accepted) else outcome.reason
        _log.info("stop.confirmed" if reason is None else "stop.not_confirmed", reference=reference, reason=reason)

    def heard(self, kind: InboundKind) -> None:
        self._figures.inbound.labels(kind.value).inc()

    def over_budget(self, tenants: Mapping[str, int]) -> None:
        """Organisation → how many reminders its budget holds; said once of each as it begins."""
        self._figures.over_budget.set(sum(tenants.values()))
        for tenant_id in sorted(tenants.keys() - self._over_budget):
            remedy = f"raise monthly_budget, or make release TENANT={tenant_id}; the next month lets them go by itself"
            _log.error("budget.spent", tenant_id=tenant_id, held=tenants[tenant_id], remedy=remedy)
        self._over_budget = frozenset(tenants)

    def braked(self, tenant_id: str, held: int) -> None:
        self._figures.brakes.inc()
        _log.error("wave.held", tenant_id=tenant_id, held=held, remedy=f"python -m notifier.release {tenant_id}")

    def stopped(self, reason: str, intent_id: str | None = None) -> None:
        self._figures.stops.inc()
        _log.error("sender.stopped", reason=reason, intent_id=intent_id)

    def opened(self, item: OpenBreaker) -> None:
        log = _log.error if item.remedy else _log.warning
        log("breaker.opened", scope=item.scope.value, name=item.name, reason=item.reason, remedy=item.remedy)

    def closed(self, item: OpenBreaker) -> None:
        _log.info("breaker.closed", scope=item.scope.value, name=item.name, reason=item.reason)

    def switched(self, switch: Switch, *, paused: bool) -> None:
        _log.warning("messages.paused" if paused else "messages.resumed", scope=switch.scope)

    def gauge(self, halts: Halts) -> None:
        self._figures.pauses.set(len(halts.switches))
        self._figures.breakers.clear()
        for item in halts.breakers:
            self._figures.breakers.labels(item.scope.value, item.reason).inc()

    def links_not_asked(self, tenant_id: str, invoices: int) -> None:
        _log.warning("online_links.not_asked", tenant_id=tenant_id, invoices=invoices)

    def looks_not_asked(self, tenant_id: str, invoices: int) -> None:
        _log.warning("statement_looks.not_asked", tenant_id=tenant_id, invoices=invoices)


class OutboxLog:
    """Log lines and figures of telling on what changed; that it comes late is said once, and once that it is over."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._late = False

    def backlog(self, backlog: Backlog, now: datetime) -> None:
        age = max(now - backlog.oldest_at, timedelta()) if backlog.oldest_at else timedelta()
        self._figures.untold.set(backlog.changes)
        self._figures.untold_age.set(age.total_seconds())
        late = age > _LATE
        if late and not self._late:
            _log.warning("message_changes.late", waiting=backlog.changes, remedy="is RabbitMQ there? they are kept")
        elif self._late and not late:
            _log.info("message_changes.told_again")
        self._late = late


class TemplateLog:
    """Log lines and figures about the business account's templates; what stays as it was is said once."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._unchecked: str | None = None
        self._missing: Sequence[tuple[str, str]] = ()

    def unchecked(self, reason: str) -> None:
        if reason != self._unchecked:
            _log.warning(
                "templates.unchecked", reason=reason, effect="messages leave without a look at their templates"
            )
        self._unchecked = reason

    def checked(self, count: int) -> None:
        if self._unchecked is not None:
            _log.info("templates.checked_again", count=count)
        self._unchecked = None

    def missing(self, templates: Sequence[tuple[str, str]]) -> None:
        if templates and templates != self._missing:
            named = [f"{name} {language}" for name, language in templates]
            _log.error("templates.missing", templates=named, remedy="make templates-push")
        self._missing = templates

    def not_asked(self, reason: str) -> None:
        _log.warning("templates.not_asked", reason=reason)

    def changed(self, name: str, language: str, why_not: str | None) -> None:
        if why_not is None:
            _log.info("template.usable", template=name, language=language)
            return
        self._figures.templates_lost.labels(why_not).inc()
        remedy = "its messages wait; see WhatsApp Manager and make templates-status"
        _log.error("template.unusable", template=name, language=language, reason=why_not, remedy=remedy)


class UnsettledLog:
    """Figures and log lines about messages whose end nobody knows; a double is told of once."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._doubled: int | None = None

    def standing(self, messages: int, oldest: timedelta, doubled: int) -> None:
        self._figures.unknown.set(messages)
        self._figures.unknown_age.set(oldest.total_seconds())
        self._figures.doubled.set(doubled)
        if self._doubled is not None and doubled > self._doubled:
            _log.error("messages.doubled", more=doubled - self._doubled, ever=doubled)
        self._doubled = doubled

    def resent(self, intent_id: str, tenant_id: str) -> None:
        self._figures.resent.inc()
        _log.warning("message.resent", intent_id=intent_id, tenant_id=tenant_id)


class HaltWatch:
    """Says what began and ended to stand in the way since it looked last."""

    def __init__(self, log: SenderLog) -> None:
        self._log = log
        self._halts = Halts()

    def see(self, halts: Halts) -> None:
        before, self._halts = self._halts, halts
        if before == halts:
            return
        known = {item.key: item for item in before.breakers}
        for item in halts.breakers:
            if item.key not in known or known[item.key].reason != item.reason:
                self._log.opened(item)
        for key in known.keys() - {item.key for item in halts.breakers}:
            self._log.closed(known[key])
        for switch in set(halts.switches) ^ set(before.switches):
            self._log.switched(switch, paused=switch in halts.switches)
        self._log.gauge(halts)


def _ids(change: MessageChangedV1) -> Mapping[str, str | int | None]:
    return {
        "intent_id": change.intent_id,
        "tenant_id": change.tenant_id,
        "invoice_id": change.invoice_id,
        "kind": change.kind.value,
        "stage": change.stage,
    }
