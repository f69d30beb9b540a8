"""The fetcher's figures: what its calls cost, and what they were good for."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class FetcherMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter("duebell_fetcher_calls_total", "Calls to Xero", ["endpoint", "status"], registry=registry)
        self.bytes = Counter(
            "duebell_fetcher_received_bytes_total", "Bytes received from Xero", ["endpoint"], registry=registry
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
            buckets=(0.01, 0.1, 0.5, 1, 5, 15, 30, 60, 90),
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

    def called(self, endpoint: str, status: str, size: int) -> None:
        """One call ended: ``status`` is the HTTP status, or a word where there was none; ``size`` in bytes."""
        self.calls.labels(endpoint, status).inc()
        self.bytes.labels(endpoint).inc(size)

    def link(self, outcome: str) -> None:
        self.links.labels(outcome).inc()

    def ignored(self, category: str) -> None:
        self.ignored_events.labels(category).inc()

    def found_by_webhook(self, versions: int) -> None:
        self.invoice_versions.labels("webhook").inc(versions)

    def found_by_poll_only(self, versions: int) -> None:
        self.invoice_versions.labels("poll_only").inc(versions)
