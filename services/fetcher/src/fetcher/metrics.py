"""The fetcher's figures: what its calls cost, and what they were good for."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fetcher.purposes import Purpose, tier


class FetcherMetrics:
    """No label names a tenant; the tier is the app's, and so that of all its tenants."""

    def __init__(self, registry: CollectorRegistry, calls_per_day: int) -> None:
        self._per_day = calls_per_day
        self._tier = tier(None, calls_per_day)
        self.calls = Counter(
            "duebell_fetcher_calls_total",
            "Calls to Xero",
            ["endpoint", "status", "purpose", "tier"],
            registry=registry,
        )
        self.bytes = Counter(
            "duebell_fetcher_received_bytes_total", "Bytes received from Xero", ["endpoint", "tier"], registry=registry
        )
        self.invoices_per_call = Histogram(
            "duebell_fetcher_invoices_per_call",
            "Ids that one call asked for",
            buckets=(1, 2, 5, 10, 20, 30, 40, 50),
            registry=registry,
        )
        self.permit_seconds = Histogram(
            "duebell_fetcher_permit_wait_seconds",
            "Time until a call was allowed",
            ["purpose", "tier"],
            buckets=(0.01, 0.1, 0.5, 1, 5, 15, 30, 60, 90),
            registry=registry,
        )
        self.refused_permits = Counter(
            "duebell_fetcher_refused_permits_total",
            "Calls that were put back on the delay ladder",
            ["reason", "purpose", "tier"],
            registry=registry,
        )
        self.day_left = Histogram(
            "duebell_fetcher_day_left_ratio",
            "What Xero left of a tenant's day, at each answer that told",
            ["tier"],
            buckets=(0, 0.04, 0.1, 0.25, 0.5, 0.75, 1),
            registry=registry,
        )
        self.holds = Counter(
            "duebell_fetcher_holds_total",
            "Holds of a tenant, or of all, by the limit or other cause; day: the tenant is parked",
            ["limit", "tier"],
            registry=registry,
        )
        self.put_off_reconciles = Counter(
            "duebell_fetcher_put_off_reconciles_total",
            "Reconciles left out because the tenant's day runs short",
            ["tier"],
            registry=registry,
        )
        self.ignored_events = Counter(
            "duebell_fetcher_ignored_events_total",
            "Webhook events that nothing follows from",
            ["category"],
            registry=registry,
        )
        self.invoice_versions = Counter(
            "duebell_fetcher_invoice_versions_total",
            "Invoice versions by how they were found: by a webhook, or by a poll alone because none came",
            ["found"],
            registry=registry,
        )
        self.webhooks_silent = Gauge(
            "duebell_fetcher_webhooks_silent", "1 while no webhooks come although invoices change", registry=registry
        )

        self.links = Counter(
            "duebell_fetcher_online_links_total",
            "Online links that messages asked for, by how they were had or why not",
            ["outcome"],
            registry=registry,
        )

    def called(self, endpoint: str, purpose: Purpose, status: str, size: int, day_left: int | None) -> None:
        """One call ended: ``status`` is the HTTP status, or a word where there was none; ``size`` in bytes."""
        if day_left is not None:
            self._tier = tier(day_left, self._per_day)
            self.day_left.labels(self._tier).observe(min(1.0, day_left / self._per_day))
        self.calls.labels(endpoint, status, purpose, self._tier).inc()
        self.bytes.labels(endpoint, self._tier).inc(size)

    def waited(self, purpose: Purpose, seconds: float) -> None:
        self.permit_seconds.labels(purpose, self._tier).observe(seconds)

    def refused(self, purpose: Purpose, reason: str) -> None:
        self.refused_permits.labels(reason, purpose, self._tier).inc()

    def held(self, limit: str) -> None:
        self.holds.labels(limit, self._tier).inc()

    def put_off(self) -> None:
        self.put_off_reconciles.labels(self._tier).inc()

    def link(self, outcome: str) -> None:
        self.links.labels(outcome).inc()

    def ignored(self, category: str) -> None:
        self.ignored_events.labels(category).inc()

    def found_by_webhook(self, versions: int) -> None:
        self.invoice_versions.labels("webhook").inc(versions)

    def found_by_poll_only(self, versions: int) -> None:
        self.invoice_versions.labels("poll_only").inc(versions)
