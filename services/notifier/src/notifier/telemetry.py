"""What the notifier says about its work: log lines and figures, with ids and reasons only."""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from notifier.halts import Halts, OpenBreaker, Switch
from notifier.model import Decision
from notifier.ports import Accepted, Outcome, Rejected
from notifier.provider_errors import is_listed
from notifier.whatsapp_errors import ErrorClass
from shared.contracts.messages import MessageChangedV1
from shared.telemetry.logging import get_logger

_log = get_logger(__name__)
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

        self.templates_lost = Counter(
            "duebell_notifier_templates_lost", "Times a template became unusable, by why", ["reason"], registry=registry
        )

    def count_decision(self, decision: Decision) -> None:
        self.decisions.labels(decision.verdict.value, decision.rule).inc()


class SenderLog:
    """Log lines and figures of sending, in one place so that no name or number can slip in."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def changed(self, change: MessageChangedV1) -> None:
        self._figures.messages.labels(change.state.value).inc()
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

    def untold(self, intent_id: str) -> None:
        _log.warning("message_change.untold", intent_id=intent_id)


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
