"""What a client may do with its connection: how long it may take, how finely chop, and who makes room for others.

uvicorn bounds how long a connection may be idle, and nothing else: without this, a client that sends half a request
keeps its place for ever, and enough of them keep everybody else out.
"""

import asyncio
from collections import Counter, deque
from enum import StrEnum
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from shared.telemetry.logging import get_logger

_log = get_logger(__name__)

MOST_CONNECTIONS = 800
"""Fits below 1,024 open files, which is what a process may have where nobody has raised it."""
MADE_AT_ONCE = 50
"""Places that are cleared together when there is none left; each time costs a look at every connection."""
_MOST_HEAD_BYTES = 16 * 1024
_SLICE = 16 * 1024
_FREE_CHUNKS = 200
_BYTES_PER_CHUNK = 512
_SWEEP_SECONDS = 1.0
_TOLD_EVERY = 60.0


class Stage(StrEnum):
    """What a connection waits for."""

    HEAD = "head"
    BODY = "body"
    WORK = "work"
    """It waits for us."""
    UNREAD = "unread"
    """The client does not read what it asked for."""
    IDLE = "idle"
    CLOSING = "closing"


LIMITS = {
    Stage.HEAD: 5.0,
    # A handler that reads a body has a shorter deadline of its own.
    Stage.BODY: 20.0,
    Stage.UNREAD: 10.0,
    Stage.CLOSING: 5.0,
}
"""Seconds, to within a second; what is not here has no limit, or uvicorn's own."""


class _Parser(h11.Connection):
    """Refuses a body in crumbs: each chunk costs as much as a request, and all that came at once are read at once."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, _MOST_HEAD_BYTES)
        self._allowed = _FREE_CHUNKS

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._allowed = _FREE_CHUNKS
        elif isinstance(event, h11.Data):
            self._allowed += len(event.data) // _BYTES_PER_CHUNK - 1
            if self._allowed < 0:
                raise h11.RemoteProtocolError("the body is chopped too finely")
        return event


class BoundedProtocol(H11Protocol):
    """uvicorn's own, with an eye on the clock; ``ended`` counts those who made room for others, by their stage."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        ended: Counter[Stage],
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = _Parser()
        self._ended = ended
        self._seen: tuple[Stage, object] = (Stage.HEAD, None)
        self.since = self.loop.time()
        self._ahead: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it, too
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._ended.update(make_room(self.connections))

    def data_received(self, data: bytes) -> None:
        """In slices, because h11 looks at its bounds only when something is incomplete, and much may come at once."""
        self._ahead.extend(data[begin : begin + _SLICE] for begin in range(0, len(data), _SLICE))
        self._feed()

    def _feed(self) -> None:
        """What was sent ahead waits until the request before it is answered."""
        while self._ahead and not self.transport.is_closing():
            if self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete:
                self.flow.pause_reading()
                return
            super().data_received(self._ahead.popleft())

    def connection_lost(self, exc: Exception | None) -> None:
        self._ahead.clear()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._seen, self.since = (self.stage, self.cycle), self.loop.time()
        if self._ahead:
            self.loop.call_soon(self._feed)

    def send_400_response(self, msg: str) -> None:
        """Whoever has an answer, or the beginning of one, gets no second one."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.abort()
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        super().send_400_response(msg)

    @property
    def stage(self) -> Stage:
        if self.transport.is_closing():
            return Stage.CLOSING
        if self.flow.write_paused:
            return Stage.UNREAD
        if self.cycle is None:
            return Stage.HEAD
        if not self.cycle.response_complete:
            return Stage.BODY if self.cycle.more_body else Stage.WORK
        # Whatever arrives ends the time of being idle.
        return Stage.HEAD if self.timeout_keep_alive_task is None else Stage.IDLE

    def overdue(self, now: float) -> Stage | None:
        """The stage in which it has been for too long."""
        stage = self.stage
        if (stage, self.cycle) != self._seen:
            self._seen, self.since = (stage, self.cycle), now
        return stage if now - self.since > LIMITS.get(stage, float("inf")) else None


def make_room(connections: set[Any]) -> list[Stage]:
    """End those that have gone longest without getting on, and tell in which stage each was; who waits for us stays.

    The latest stay, so that somebody who says what it wants at once is heard, however many others say nothing.
    """
    now = asyncio.get_running_loop().time()
    for one in connections:
        one.overdue(now)  # which sees who has got on since the last sweep
    waiting = [one for one in connections if one.stage is not Stage.WORK]
    longest = sorted(waiting, key=lambda one: float(one.since))[:MADE_AT_ONCE]
    stages: list[Stage] = [one.stage for one in longest]
    for one in longest:
        connections.discard(one)
        one.transport.abort()
    return stages


async def sweep(connections: set[Any], ended: Counter[Stage]) -> None:
    """End what is overdue, once a second, until cancelled; what was ended is told once a minute."""
    loop = asyncio.get_running_loop()
    told_at = loop.time() - _TOLD_EVERY
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        now = loop.time()
        for connection in list(connections):
            if stage := connection.overdue(now):
                connection.transport.abort()
                ended[stage] += 1
        if ended and now - told_at >= _TOLD_EVERY:
            _log.warning("connections.ended", **{f"in_{stage}": count for stage, count in ended.items()})
            ended.clear()
            told_at = now
