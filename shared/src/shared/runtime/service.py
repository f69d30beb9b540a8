"""One bootstrap for all services: settings, logs, connections, consumers, loops, HTTP, and an orderly stop."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import uvloop
from aio_pika.abc import AbstractRobustConnection
from faststream.rabbit import RabbitRouter
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from starlette.routing import BaseRoute

from shared.clients.token_broker import TokenBrokerClient, open_token_broker_client
from shared.errors import ConfigurationError
from shared.runtime.clock import Clock, utc_now
from shared.runtime.connection import open_connection
from shared.runtime.consumer import DRAIN_SECONDS, Consumer
from shared.runtime.delivery import DeliveryFigures, Settlement
from shared.runtime.health import Check, health_routes
from shared.runtime.publisher import EventPublisher, open_publisher
from shared.runtime.rpc import Replies
from shared.runtime.web import WebServer
from shared.settings.base import ServiceSettings, load_settings
from shared.telemetry.correlation import correlated
from shared.telemetry.logging import configure_logging, get_logger

_log = get_logger(__name__)


class Stop:
    """Says when a service is asked to stop, and paces its loops.

    ``serving`` is false while it starts: what waits for RabbitMQ then is simply given up.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.serving = False

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self, seconds: float | None = None) -> bool:
        """Return after ``seconds`` with False, or at once with True when the service stops."""
        try:
            async with asyncio.timeout(seconds):
                return await self._event.wait()
        except TimeoutError:
            return False


Loop = Callable[[Stop], Awaitable[None]]


@dataclass(frozen=True)
class Service:
    """What a service is made of, beside what all have.

    ``is_away`` knows the errors by which its own database is out of order: no message is to blame for them.
    """

    routes: Sequence[BaseRoute] = ()
    routers: Sequence[RabbitRouter] = ()
    prefetch: int = 50
    loops: Mapping[str, Loop] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    is_away: Callable[[BaseException], bool] = lambda _: False


@dataclass(frozen=True)
class Core:
    """What the bootstrap gives to a composition root."""

    events: EventPublisher
    registry: CollectorRegistry
    replies: Replies
    clock: Clock
    connection: AbstractRobustConnection

    def token_broker(self) -> AbstractAsyncContextManager[TokenBrokerClient]:
        return open_token_broker_client(self.connection)


class RunnableSettings(Protocol):
    """What the bootstrap reads of a service's settings, beside ``‹service›_port``."""

    @property
    def amqp_url(self) -> SecretStr: ...
    @property
    def log_level(self) -> str: ...
    @property
    def host(self) -> str: ...


S = TypeVar("S", bound=ServiceSettings)
CreateApp = Callable[[S, Core], AbstractAsyncContextManager[Service]]


def main(name: str, settings_class: type[S], create_app: CreateApp[S]) -> None:
    """Run the service until SIGTERM or SIGINT. A configuration error is one line on standard error and exit code 2."""
    try:
        settings = load_settings(settings_class)
        configure_logging(name, settings.log_level)  # type: ignore[attr-defined]  # every service has TelemetrySettings
        uvloop.run(_run(name, settings, create_app))
    except ConfigurationError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(2)
    except Exception:
        # A database that is away at the start, for instance: one redacted line, and the process manager tries again.
        _log.exception("service.failed")
        sys.exit(1)


async def _run(name: str, settings: S, create_app: CreateApp[S]) -> None:
    stop = Stop()
    serving = asyncio.create_task(_serve(name, settings, create_app, stop))

    def end() -> None:
        stop.set()
        if not stop.serving:
            serving.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    with suppress(asyncio.CancelledError):
        await serving
    _log.info("service.stopped")


async def _serve(name: str, settings: S, create_app: CreateApp[S], stop: Stop) -> None:
    async with running(name, settings, create_app, stop):
        stop.serving = True
        await stop.wait()
        _log.info("service.stopping")


@asynccontextmanager
async def running(name: str, settings: S, create_app: CreateApp[S], stop: Stop) -> AsyncIterator[WebServer]:
    """The service at work; leaving the block stops intake everywhere at once and then lets what is held finish."""
    base: RunnableSettings = settings  # type: ignore[assignment]  # the groups every service is composed of
    amqp_url = base.amqp_url.get_secret_value()
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(open_connection(amqp_url, f"{name} publishes"))
        events = await stack.enter_async_context(open_publisher(connection, name))
        core = Core(events, registry, Replies(events), utc_now, connection)
        service = await stack.enter_async_context(create_app(settings, core))
        consumer = Consumer(
            amqp_url,
            service.routers,
            service=name,
            prefetch=service.prefetch,
            settlement=Settlement(name, events),
            figures=DeliveryFigures(registry),
            is_away=service.is_away,
        )
        checks: dict[str, Check] = {"broker": events.probe, "consumers": _as_check(consumer.ready), **service.checks}
        server = WebServer([*service.routes, *health_routes(registry, checks)], base.host, _port(settings, name))
        await consumer.start()
        loops = [asyncio.create_task(_keep(title, loop, stop), name=title) for title, loop in service.loops.items()]
        port = await server.start()
        _log.info("service.started", port=port)
        try:
            yield server
        finally:
            stop.set()
            await asyncio.gather(server.drain(), consumer.drain(), _finish(loops))


def _port(settings: ServiceSettings, name: str) -> int:
    return int(getattr(settings, f"{name.replace('-', '_')}_port"))


def _as_check(condition: Callable[[], bool]) -> Check:
    async def check() -> bool:
        return condition()

    return check


async def _keep(title: str, loop: Loop, stop: Stop) -> None:
    """A loop that fails is logged and started again: its work is still there, in a database or a queue."""
    while not stop.is_set():
        try:
            with correlated(None, loop=title):
                await loop(stop)
        except Exception:
            _log.exception("loop.failed", loop=title)
            await stop.wait(1)


async def _finish(loops: Sequence[asyncio.Task[None]]) -> None:
    if not loops:
        return
    _, late = await asyncio.wait(loops, timeout=DRAIN_SECONDS)
    for task in late:
        _log.warning("loop.cut_short", loop=task.get_name())
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
