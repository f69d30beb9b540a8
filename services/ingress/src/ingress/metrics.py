"""Figures of the door."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class DoorFigures:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.webhooks = Counter(
            "duebell_ingress_webhooks_total", "Webhooks by sender and answer", ["sender", "status"], registry=registry
        )
        self.pieces = Counter(
            "duebell_ingress_pieces_total", "Accepted pieces by sender and kind", ["sender", "kind"], registry=registry
        )
        self.seconds = Histogram("duebell_ingress_webhook_seconds", "Time to the answer", ["sender"], registry=registry)
