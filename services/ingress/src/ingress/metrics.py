"""Figures of the door."""

from functools import cache

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
        lanes = Counter(
            "duebell_ingress_events_total", "Events by routing key and lane", ["key", "lane"], registry=registry
        )
        # Asked for each event; finding its labels' counter anew costs more than counting.
        self._lane = cache(lanes.labels)
        self.seconds = Histogram("duebell_ingress_webhook_seconds", "Time to the answer", ["sender"], registry=registry)

    def sorted_into(self, key: str, lane: Lane) -> None:
        """An event took its lane, whether or not it was then confirmed."""
        self._lane(key, str(lane)).inc()
