"""How a function is wrapped so that it reaches a trap: before it, after it, or at a moment within it."""

import asyncio
import functools
import importlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from chaos.traps import Function, Moment, Trap, Wrap

R = TypeVar("R")

_TURNS = 50


def _before(function: Function, trap: Trap) -> Function:
    @functools.wraps(function)
    def passing(*given: Any, **named: Any) -> Any:
        trap.reach(given, named)
        return function(*given, **named)

    return passing


def _marked(function: Function, trap: Trap) -> Function:
    @functools.wraps(function)
    def passing(*given: Any, **named: Any) -> Any:
        trap.reach_marked(given, named)
        return function(*given, **named)

    return passing


def _after(function: Function, trap: Trap) -> Function:
    @functools.wraps(function)
    async def passing(*given: Any, **named: Any) -> Any:
        result = await function(*given, **named)
        trap.reach(given, named, result)
        return result

    return passing


def _handed(function: Callable[..., Awaitable[R]], trap: Trap) -> Callable[..., Awaitable[R]]:
    @functools.wraps(function)
    async def publish(channel: Any, body: bytes, **named: Any) -> R:
        if not trap.is_armed():
            return await function(channel, body, **named)
        publishing = asyncio.ensure_future(function(channel, body, **named))
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if channel.write_queue.empty():
                break
        # The event loop writes what it was given at the end of a turn.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if not publishing.done():
            trap.reach(named.get("routing_key"), body)
        return await publishing

    return publish


def _confirming(function: Callable[..., Awaitable[R]], trap: Trap) -> Callable[..., Awaitable[R]]:
    channels = importlib.import_module("aiormq").Channel
    told: Function = vars(channels)["_on_confirm_frame"]
    waiting: dict[tuple[int, str], tuple[Any, bytes]] = {}

    @functools.wraps(told)
    async def on_confirm(channel: Any, frame: Any) -> Any:
        tags = dict(channel.message_id_delivery_tag) if trap.is_armed() else {}
        for message_id, tag in tags.items():
            meant = tag <= frame.delivery_tag if getattr(frame, "multiple", False) else tag == frame.delivery_tag
            if meant and (id(channel), message_id) in waiting:
                trap.reach(*waiting[id(channel), message_id])
        return await told(channel, frame)

    @functools.wraps(function)
    async def publish(channel: Any, body: bytes, **named: Any) -> R:
        key = (id(channel), getattr(named.get("properties"), "message_id", None) or "")
        waiting[key] = (named.get("routing_key"), body)
        try:
            return await function(channel, body, **named)
        finally:
            waiting.pop(key, None)

    channels._on_confirm_frame = on_confirm
    return publish


def _on_the_wire(event: str) -> Callable[[Function, Trap], Function]:
    def wrapper(function: Function, trap: Trap) -> Function:
        @functools.wraps(function)
        async def handle(transport: Any, request: Any) -> Any:
            inner = request.extensions.get("trace")

            async def trace(name: str, details: Any) -> None:
                if inner is not None:
                    await inner(name, details)
                if name.endswith(event):
                    trap.reach(request.url.path, request)

            request.extensions = {**request.extensions, "trace": trace}
            return await function(transport, request)

        return handle

    return wrapper


_WRAPPERS: Mapping[Moment, Wrap] = {
    Moment.BEFORE: _before,
    Moment.AFTER: _after,
    Moment.HANDED: _handed,
    Moment.CONFIRMING: _confirming,
    Moment.WRITTEN: _on_the_wire("send_request_body.complete"),
    Moment.ANSWERING: _on_the_wire("receive_response_headers.complete"),
    Moment.MARKED: _marked,
}


def wrapper(moment: Moment) -> Wrap:
    return _WRAPPERS[moment]
