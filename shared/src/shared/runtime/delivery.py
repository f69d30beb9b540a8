"""What happens around every handler: correlation before it; outcome, log line and figures after it.

This is the one place where the fate of a message is settled. FastStream acknowledges when nothing is raised past this
middleware, so a failed message is first published on (delayed or buried, confirmed) and only then acknowledged.
"""

import json
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from aio_pika.abc import AbstractIncomingMessage
from faststream import BaseMiddleware, ContextRepo
from faststream.exceptions import NackMessage
from faststream.message import StreamMessage
from faststream.rabbit.subscriber import RabbitSubscriber
from prometheus_client import CollectorRegistry, Counter, Histogram
from pydantic import ValidationError

from shared.errors import PermanentError, PublishFailed, RetryableError
from shared.runtime.dead_letters import ATTEMPT, FIRST_SEEN, OUTAGE_SINCE, REASON, SOURCE, DeadLetter
from shared.runtime.outcomes import Bury, Delay, Drop, Outcome, outcome_of
from shared.runtime.publisher import EventPublisher, Outgoing
from shared.runtime.suspects import CONSUMER_LOST, Suspects, is_suspect
from shared.telemetry.correlation import correlated
from shared.telemetry.logging import get_logger
from shared.topology.delays import MAX_ATTEMPTS
from shared.topology.queues import QUEUES, Purpose

_UNREADABLE = (ValidationError, json.JSONDecodeError, UnicodeDecodeError)
HANDLER_PREFIX = "on_"
"""How every handler's name begins."""
_QUEUES = {queue.name: queue for queue in QUEUES}
_log = get_logger(__name__)


@dataclass(frozen=True)
class Delivery:
    """The message being handled, for the few that need more than its body.

    ``user_id`` is the sender's RabbitMQ user, which RabbitMQ has verified; ``app_id`` is only what the sender said.
    """

    queue: str
    correlation_id: str | None
    reply_to: str | None
    user_id: str | None = None
    app_id: str | None = None


_current: ContextVar[Delivery] = ContextVar("duebell_delivery")


def current_delivery() -> Delivery:
    """The delivery that the running handler was called for."""
    return _current.get()


class DeliveryFigures:
    """Prometheus metrics of a service's consumers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "duebell_messages_processed_total",
            "Messages by what became of them",
            ["queue", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "duebell_message_duration_seconds", "Time in the handler", ["queue"], registry=registry
        )


class Settlement:
    """Carries out an :class:`~shared.runtime.outcomes.Outcome` for one service's messages."""

    def __init__(self, service: str, publisher: EventPublisher) -> None:
        self._service = service
        self._publisher = publisher

    async def settle(self, message: AbstractIncomingMessage, queue: str, outcome: Outcome) -> None:
        """Publish the message on, confirmed. Raises NackMessage when RabbitMQ would not take it: it comes back."""
        match outcome:
            case Delay():
                outgoing = _delayed(message, queue, outcome)
            case Bury():
                outgoing = self._buried(message, queue, outcome)
            case Drop():
                return
        try:
            await self._publisher.send(outgoing)
        except PublishFailed as error:
            raise NackMessage(requeue=True) from error

    def _buried(self, message: AbstractIncomingMessage, queue: str, outcome: Bury) -> Outgoing:
        return DeadLetter(
            self._service,
            message.body,
            source=queue,
            reason=outcome.reason,
            attempts=attempts_of(message) + 1,
            first_seen=_or_now(message, FIRST_SEEN),
            correlation=message.correlation_id,
            type=message.type,
            content_type=message.content_type or "application/json",
        ).outgoing()


def _delayed(message: AbstractIncomingMessage, queue: str, outcome: Delay) -> Outgoing:
    return Outgoing(
        message.body,
        exchange=outcome.rung.name,
        routing_key=queue,
        type=message.type,
        headers={
            ATTEMPT: outcome.attempt,
            REASON: outcome.reason,
            SOURCE: queue,
            FIRST_SEEN: _or_now(message, FIRST_SEEN),
            **({OUTAGE_SINCE: _or_now(message, OUTAGE_SINCE)} if outcome.in_outage else {}),
        },
        content_type=message.content_type or "application/json",
        correlation=message.correlation_id,
    )


def _or_now(message: AbstractIncomingMessage, header: str) -> str:
    return str(message.headers.get(header) or datetime.now(UTC).isoformat())


def _seconds_since(message: AbstractIncomingMessage, header: str) -> float | None:
    """None where the header is missing or says no time."""
    try:
        since = datetime.fromisoformat(str(message.headers.get(header) or ""))
        return (datetime.now(UTC) - since).total_seconds()
    except (ValueError, TypeError):
        return None


def _unreadable(error: Exception) -> bool:
    """Whether the body could not be made into what the handler takes; the same errors inside it are our own bugs."""
    frames = traceback.walk_tb(error.__traceback__)
    entered = any(frame.f_code.co_name.startswith(HANDLER_PREFIX) for frame, _ in frames)
    return isinstance(error, _UNREADABLE) and not entered


def attempts_of(message: AbstractIncomingMessage) -> int:
    """How many handlings of this message have failed, by our own count: the broker's differs between versions."""
    value = message.headers.get(ATTEMPT, 0)
    return value if isinstance(value, int) and value >= 0 else 0


class DeliveryMiddleware(BaseMiddleware[Any, AbstractIncomingMessage]):
    """One per message; see the module."""

    def __init__(
        self,
        message: AbstractIncomingMessage,
        /,
        *,
        context: ContextRepo,
        settlement: Settlement,
        figures: DeliveryFigures,
        suspects: Suspects,
        is_away: Callable[[BaseException], bool],
    ) -> None:
        super().__init__(message, context=context)
        self._settlement = settlement
        self._suspects = suspects
        self._is_away = is_away
        self._figures = figures
        self._queue = ""
        self._bound = ExitStack()
        self._started = 0.0

    async def on_receive(self) -> None:
        self._started = time.perf_counter()
        subscriber: RabbitSubscriber = self.context.get_local("handler_")
        self._queue = subscriber.queue.name
        identifier = self._bound.enter_context(correlated(self.msg.correlation_id, queue=self._queue))
        _current.set(Delivery(self._queue, identifier, self.msg.reply_to, self.msg.user_id, self.msg.app_id))

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]) -> Any:
        """RabbitMQ before 4.0.3 lets a sender reach any queue by a CC or BCC header, past the rights of its user; the
        routing key that a delivery shows is the one whose right was checked.
        """
        queue = _QUEUES[self._queue]
        if not queue.takes(self.msg.routing_key or ""):
            raise PermanentError("misrouted")
        if queue.purpose is Purpose.RPC:
            # Its own time to live ends it.
            return await call_next(msg)
        known = self.msg.headers.get(REASON) == CONSUMER_LOST
        attempt = attempts_of(self.msg) + 1
        if is_suspect(self.msg, known=known, last=attempt >= MAX_ATTEMPTS):
            # At first it is only suspected, whatever else has failed before.
            raise RetryableError(CONSUMER_LOST, retry_after=self._suspects.pause_before(attempt), counts=known)
        if not known:
            return await call_next(msg)
        async with self._suspects.turn():
            return await call_next(msg)

    async def after_processed(
        self,
        exc_type: type[BaseException] | None = None,  # noqa: ARG002 - FastStream names them
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,  # noqa: ARG002
    ) -> bool | None:
        with self._bound:
            if exc_val is None:
                self._note("handled", None)
                return False
            if not isinstance(exc_val, Exception) or isinstance(exc_val, NackMessage):
                self._note("interrupted", type(exc_val).__name__)
                return False
            outcome = self._decide(exc_val)
            await self._settlement.settle(self.msg, self._queue, outcome)
            self._note(type(outcome).__name__.lower(), outcome.reason, exc_val)
            return True

    def _decide(self, error: Exception) -> Outcome:
        if _QUEUES[self._queue].purpose is Purpose.RPC:
            return Drop(f"unanswered_{type(error).__name__}")
        return outcome_of(
            error,
            attempts_of(self.msg),
            waited_seconds=_seconds_since(self.msg, FIRST_SEEN) or 0.0,
            outage_seconds=_seconds_since(self.msg, OUTAGE_SINCE),
            unreadable=_unreadable(error),
            away=self._is_away(error),
        )

    def _note(self, outcome: str, reason: str | None, error: Exception | None = None) -> None:
        seconds = time.perf_counter() - self._started
        self._figures.messages.labels(self._queue, outcome).inc()
        self._figures.seconds.labels(self._queue).observe(seconds)
        fields = {
            "outcome": outcome,
            "reason": reason,
            "attempts": attempts_of(self.msg),
            "message_id": self.msg.message_id,
            "milliseconds": round(seconds * 1000, 1),
        }
        if reason and reason.startswith("unexpected_"):
            _log.error("message.processed", exc_info=error, **fields)
        elif outcome == "bury":
            _log.warning("message.processed", **fields)
        else:
            _log.info("message.processed", **fields)
