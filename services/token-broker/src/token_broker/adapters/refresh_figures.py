"""Counts and logs what becomes of refreshes, answers and consents: the audit trail, in ids, outcomes and durations."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram

from shared.telemetry.logging import get_logger
from token_broker.ports import Grant

_log = get_logger(__name__)


class BrokerFigures:
    """``caller`` names the RabbitMQ user behind the question being answered."""

    def __init__(self, registry: CollectorRegistry, caller: Callable[[], str | None]) -> None:
        self._caller = caller
        self._refreshes = Counter(
            "duebell_token_broker_refreshes_total", "Refreshes, by outcome", ["outcome"], registry=registry
        )
        self._seconds = Histogram(
            "duebell_token_broker_refresh_seconds", "From the request to the stored pair", registry=registry
        )
        self._answers = Counter(
            "duebell_token_broker_answers_total", "Answers to token.access", ["outcome"], registry=registry
        )
        self._consents = Counter(
            "duebell_token_broker_consents_total", "Finished consents, by outcome", ["outcome"], registry=registry
        )
        self._lost = Counter(
            "duebell_token_broker_grants_lost_total", "Grants that need a new consent", registry=registry
        )
        self._changes = Counter(
            "duebell_token_broker_connections_changed_total",
            "Connections ended or found again, by change",
            ["change"],
            registry=registry,
        )
        self._failed_looks = Counter(
            "duebell_token_broker_looks_failed_total", "Records or lists that could not be read", registry=registry
        )

    def refreshed(self, grant_id: str, generation: int, seconds: float, *, recovered: bool = False) -> None:
        outcome = "recovered" if recovered else "refreshed"
        self._refreshes.labels(outcome).inc()
        self._seconds.observe(seconds)
        _log.info(f"grant.{outcome}", grant_id=grant_id, generation=generation, seconds=round(seconds, 3))

    def refresh_failed(self, grant_id: str, outcome: str, reason: str) -> None:
        self._refreshes.labels(outcome).inc()
        _log.warning("grant.refresh_failed", grant_id=grant_id, outcome=outcome, reason=reason)

    def grant_lost(self, grant_id: str, reason: str) -> None:
        self._refreshes.labels("lost").inc()
        self._lost.inc()
        _log.error("grant.lost", grant_id=grant_id, reason=reason)

    def answered(self, tenant_id: str, outcome: str, grant: Grant | None = None) -> None:
        self._answers.labels(outcome).inc()
        found = {} if grant is None else {"grant_id": grant.id, "generation": grant.generation}
        _log.info("token.answered", tenant_id=tenant_id, outcome=outcome, caller=self._caller(), **found)

    def connection_changed(self, tenant_id: str, grant_id: str, change: str) -> None:
        self._changes.labels(change).inc()
        _log.warning("connection.changed", tenant_id=tenant_id, grant_id=grant_id, change=change)

    def look_failed(self, grant_id: str, reason: str) -> None:
        self._failed_looks.inc()
        _log.warning("grant.look_failed", grant_id=grant_id, reason=reason)

    def consented(self, outcome: str, organisations: int = 0) -> None:
        self._consents.labels(outcome).inc()
        _log.info("consent.finished", outcome=outcome, organisations=organisations)

    def untold(self, reason: str) -> None:
        _log.warning("connection.announcement_failed", reason=reason)
