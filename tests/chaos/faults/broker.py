"""RabbitMQ dies, is away, raises its alarms, loses a binding, or is given what nobody can read."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from signal import Signals

from chaos.faults.fault import Fault, Missed
from chaos.scene import READY_SECONDS, Scene
from chaos.until import until
from shared.contracts import InvoiceEnrichedV1, XeroEventReceivedV1
from shared.topology import exchanges
from shared.topology.queues import FETCHER_XERO_EVENT_RECEIVED, NOTIFIER_INVOICE_ENRICHED, dead_queue

_markers = itertools.count(1)
_REPEATED_AFTER = 200.0
"""A quorum queue tries again after three minutes to forward what no dead-letter queue took.

It is RabbitMQ's own ``dead_letter_worker_publisher_confirm_timeout`` (rabbit_fifo_dlx_worker).
"""
_BACK_WITHIN = 30.0
"""Seconds from RabbitMQ's first answer until every consumer is back."""


@asynccontextmanager
async def killed(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """It is over when RabbitMQ answers again, and the door has said meanwhile that it cannot take anything."""
    began = scene.history.now()

    def refused() -> bool:
        recent = reversed(scene.history.recent)
        return any(row["what"] == "answer" and row["status"] == 503 and row["at"] > began for row in recent)

    await scene.kill("rabbitmq", Signals.SIGKILL)
    await until(refused, READY_SECONDS, "a refusal while RabbitMQ was away")
    await until(partial(asyncio.to_thread, scene.answers, "rabbitmq"), READY_SECONDS, "RabbitMQ")
    yield


@asynccontextmanager
async def frozen_then_killed(scene: Scene, dice: Random, *, seconds: float = 6.0) -> AsyncIterator[None]:
    """It takes what is sent and answers nothing, as when its disk hangs, and dies: only a confirm was a promise."""
    scene.stack.kill("rabbitmq", Signals.SIGSTOP)
    await asyncio.sleep(seconds)
    await scene.kill("rabbitmq", Signals.SIGKILL)
    yield


@asynccontextmanager
async def absent(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """Stopped in good order, and started again when the fault ends."""
    await asyncio.to_thread(scene.stack.stop, "rabbitmq")
    try:
        yield
    finally:
        scene.stack.start("rabbitmq")


@asynccontextmanager
async def memory_alarm(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """Who publishes is held still; who consumes goes on."""
    await scene.rabbitmqctl("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        await until(partial(_alarmed, scene), 20, "the memory alarm")
        yield
    finally:
        await scene.rabbitmqctl("set_vm_memory_high_watermark", "0.4")


@asynccontextmanager
async def disk_alarm(scene: Scene, dice: Random) -> AsyncIterator[None]:
    await scene.rabbitmqctl("set_disk_free_limit", "100000GB")
    try:
        await until(partial(_alarmed, scene), 20, "the disk alarm")
        yield
    finally:
        await scene.rabbitmqctl("set_disk_free_limit", "500MB")


async def _alarmed(scene: Scene) -> bool:
    found = json.loads(await scene.rabbitmqctl("status", "--formatter", "json"))
    return bool(found["alarms"])


@asynccontextmanager
async def unroutable(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """Nothing is bound to what the door publishes: whatever it answers 200 to would be gone."""
    key = XeroEventReceivedV1.key
    await scene.unbind(exchanges.EVENTS, exchanges.LANES, key, kind="e")
    try:
        yield
    finally:
        await scene.bind(exchanges.EVENTS, exchanges.LANES, key, kind="e")


@asynccontextmanager
async def poison(scene: Scene, dice: Random, *, count: int = 5) -> AsyncIterator[None]:
    """Bodies that are no JSON, and bodies of the wrong shape, into queues of two services."""
    await _put(scene, count)
    yield


@asynccontextmanager
async def dead_letters_gone(scene: Scene, dice: Random, *, count: int = 5) -> AsyncIterator[None]:
    """Poison while no dead-letter queue is bound: it must be kept until there is one again."""
    services = ("fetcher", "notifier")
    for service in services:
        await scene.unbind(exchanges.DEAD, dead_queue(service), service)
    try:
        await _put(scene, count)
        yield
    finally:
        for service in services:
            await scene.bind(exchanges.DEAD, dead_queue(service), service)


async def _put(scene: Scene, count: int) -> None:
    if not scene.tenants:
        raise Missed("there is no organisation")
    keys = {
        FETCHER_XERO_EVENT_RECEIVED.name: XeroEventReceivedV1.key,
        NOTIFIER_INVOICE_ENRICHED.name: InvoiceEnrichedV1.key,
    }
    for queue, key in keys.items():
        for form in ("no JSON", "no object", "wrong shape"):
            for _ in range(count):
                marker = f"poison-{next(_markers)}"
                await scene.put_into(queue, _BODIES[form](marker), type=key, message_id=marker)
                scene.history.add("poison", marker=marker, queue=queue, form=form)


_BODIES = {
    "no JSON": lambda marker: f'{{"event_id": "{marker}", '.encode(),
    "no object": lambda marker: json.dumps([marker]).encode(),
    "wrong shape": lambda marker: json.dumps({"event_id": marker, "tenant_id": 7, "invoice": None}).encode(),
}


FAULTS = [
    Fault("rabbitmq-kill", killed, kills=1, back_within=_BACK_WITHIN, short=True),
    Fault("rabbitmq-hangs-and-dies", frozen_then_killed, kills=1, back_within=_BACK_WITHIN),
    Fault("rabbitmq-absent", absent, 20),
    Fault("rabbitmq-absent-long", absent, 200),
    Fault("rabbitmq-memory", memory_alarm, 60),
    Fault("rabbitmq-disk", disk_alarm, 60),
    Fault("unroutable", unroutable, 6, short=True),
    Fault("poison", poison, short=True),
    Fault("dead-letters-gone", dead_letters_gone, 6, lingers=_REPEATED_AFTER),
]
