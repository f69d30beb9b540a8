"""Figures of the door."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from shared.topology.lanes import Lane


class DoorFigures:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.webhooks = Counter(
            "duebell_ingress_webhooks_total", "Webhooks by sender and answer", ["sender", "status"], registry=registry
        )
        self.pieces = Counter(
            "duebell_ingress_pieces_total", "Accepted pieces by sender and kind", ["sender", "kind"], registry=registry
        )
        self.lanes = Counter(
            "duebell_ingress_events_total", "Events by routing key and lane", ["key", "lane"], registry=registry
        )
        self.seconds = Histogram("duebell_ingress_webhook_seconds", "Time to the answer", ["sender"], registry=registry)

    def sorted_into(self, key: str, lane: Lane) -> None:
        """An event took its lane, whether or not it was then confirmed."""
        self.lanes.labels(key, str(lane)).inc()
