"""The only maker of consuming brokers: one connection, bounded prefetch, settled failures, a clean stop."""

from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any

from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitRouter

from shared.runtime.connection import CONNECT_SECONDS, with_heartbeat
from shared.runtime.delivery import DeliveryFigures, DeliveryMiddleware, Settlement
from shared.runtime.suspects import Suspects

DRAIN_SECONDS = 20.0
"""How long running handlers may take to finish at a stop; the process manager waits longer than this."""


def prefetching(count: int) -> Channel:
    """For a subscriber that takes another number of deliveries at once than its service's others: ``channel=…``."""
    return Channel(prefetch_count=count)


class Consumer:
    """Runs a service's routers on a connection that publishes nothing.

    ``prefetch`` holds for each subscriber that has no channel of its own. ``is_away`` knows the errors by which the
    service's own database is out of order.
    """

    def __init__(
        self,
        amqp_url: str,
        routers: Sequence[RabbitRouter],
        *,
        service: str,
        prefetch: int,
        settlement: Settlement,
        figures: DeliveryFigures,
        is_away: Callable[[BaseException], bool] = lambda _: False,
    ) -> None:
        middleware: Any = partial(
            DeliveryMiddleware, settlement=settlement, figures=figures, suspects=Suspects(), is_away=is_away
        )
        self._broker = RabbitBroker(
            with_heartbeat(amqp_url),
            timeout=CONNECT_SECONDS,
            default_channel=Channel(prefetch_count=prefetch),
            ack_policy=AckPolicy.REJECT_ON_ERROR,
            graceful_timeout=DRAIN_SECONDS,
            reconnect_interval=1,
            app_id=service,
            middlewares=[middleware],
            routers=routers,
            logger=None,
        )

    async def start(self) -> None:
        await self._broker.start()

    def ready(self) -> bool:
        """Whether RabbitMQ delivers to every subscriber: it may cancel a consumer and leave its channel open."""
        for subscriber in self._broker.subscribers:
            queue, tag = _consuming(subscriber)
            if queue is None or not tag or tag not in _consumers(queue.channel):
                return False
        return True

    async def drain(self) -> None:
        """Take nothing new, let running handlers finish, close.

        The consumers are cancelled first: FastStream would go on receiving while it drains, and every such message
        comes back with one delivery attempt spent.
        """
        for subscriber in self._broker.subscribers:
            queue, tag = _consuming(subscriber)
            if queue is not None and tag and not queue.channel.is_closed:
                await queue.cancel(tag)
                subscriber._consumer_tag = None  # type: ignore[attr-defined]  # there is no public way
        await self._broker.stop()


def _consumers(channel: Any) -> Container[str]:
    """The tags of the channel that is open now; none while it is being opened again."""
    underlay = getattr(channel, "_channel", None)
    return () if underlay is None or channel.is_closed or underlay.channel.is_closed else underlay.channel.consumers


def _consuming(subscriber: Any) -> tuple[Any, str | None]:
    return getattr(subscriber, "_queue_obj", None), getattr(subscriber, "_consumer_tag", None)
