"""Counts and logs what becomes of refreshes, answers and consents; ids, outcomes and durations only."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from shared.telemetry.logging import get_logger

_log = get_logger(__name__)


class BrokerFigures:
    def __init__(self, registry: CollectorRegistry) -> None:
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

    def refreshed(self, grant_id: str, generation: int, seconds: float) -> None:
        self._refreshes.labels("refreshed").inc()
        self._seconds.observe(seconds)
        _log.info("grant.refreshed", grant_id=grant_id, generation=generation, seconds=round(seconds, 3))

    def refresh_failed(self, grant_id: str, outcome: str, reason: str) -> None:
        self._refreshes.labels(outcome).inc()
        _log.warning("grant.refresh_failed", grant_id=grant_id, outcome=outcome, reason=reason)

    def grant_lost(self, grant_id: str, reason: str) -> None:
        self._refreshes.labels("lost").inc()
        self._lost.inc()
        _log.error("grant.lost", grant_id=grant_id, reason=reason)

    def answered(self, outcome: str) -> None:
        self._answers.labels(outcome).inc()

    def consented(self, outcome: str, organisations: int = 0) -> None:
        self._consents.labels(outcome).inc()
        _log.info("consent.finished", outcome=outcome, organisations=organisations)

    def untold(self, reason: str) -> None:
        _log.warning("connection.announcement_failed", reason=reason)
