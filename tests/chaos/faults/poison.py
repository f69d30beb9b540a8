"""Messages that can be read and not be handled: one fails each time, one kills its process each time."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from random import Random
from typing import Any
from uuid import uuid4

from chaos.faults.fault import Fault, Missed
from chaos.scene import Scene
from chaos.traps import IDS, KILLED, MARKED
from chaos.until import until
from deploy.servers.broker import VHOST
from shared.runtime.dead_letters import ATTEMPT, REASON
from shared.runtime.suspects import CONSUMER_LOST
from shared.topology import queues
from shared.topology.delays import LADDER, MAX_ATTEMPTS

_PARKED_SECONDS = 120.0
_FAR_UP = 2
_KILLER = "a killer"
_FULL = "chaos-full"
_markers = count(100_000)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _xero_event(marker: str, tenant: str, **changes: Any) -> Mapping[str, Any]:
    fields = {"event_id": marker, "tenant_id": tenant, "category": "INVOICE", "event_type": "CREATE"}
    return {**fields, "resource_id": str(uuid4()), "event_at": _now(), "received_at": _now(), **changes}


def _enriched(
    marker: str, tenant: str, amount: str = "100.00", phone: str | None = "+919000000000"
) -> Mapping[str, Any]:
    """An invoice that nobody else speaks of, for somebody who can be reached unless there is no number."""
    amounts = {"total": amount, "amount_due": amount, "amount_paid": "0", "amount_credited": "0"}
    days = {"issued_on": None, "due_on": None, "expected_payment_on": None, "updated_at": None}
    about = {"invoice_id": marker, "number": marker, "type": "ACCREC", "status": "AUTHORISED", "currency": "INR"}
    contact = {"contact_id": marker, "name": "Nobody", "status": "ACTIVE", "phone": phone}
    organisation = {"name": "Theirs", "time_zone": "Asia/Kolkata", "country": "IN", "base_currency": "INR"}
    return {
        "tenant_id": tenant,
        "invoice": about | amounts | days,
        "contact": {**contact, "no_phone_reason": None if phone else "none_given"},
        "organisation": organisation,
        "read_at": _now(),
        "cause": {"kind": "webhook", "event_type": "CREATE", "event_at": _now()},
    }


def _failed_status(marker: str) -> Mapping[str, Any]:
    """Of a message that nobody sent, with an error's number that no database takes."""
    status = {"id": marker, "status": "failed", "errors": [{"code": 10**30, "title": "beyond all numbers"}]}
    when = {"happened_at": _now(), "received_at": _now()}
    about = {"update_id": marker, "kind": "status", "phone_number_id": None, "provider_message_id": marker}
    return {**about, **when, "status": "failed", "raw": status}


async def _put(
    scene: Scene,
    queue: queues.Queue,
    body: Mapping[str, Any],
    marker: str,
    form: str,
    *,
    attempts: int = 0,
    reason: str = "",
) -> None:
    """``attempts`` have failed before, as its headers say, the last for ``reason``."""
    headers: dict[str, Any] = {ATTEMPT: attempts} if attempts else {}
    headers |= {REASON: reason} if reason else {}
    await scene.put_into(queue.name, json.dumps(body).encode(), type=queue.key, message_id=marker, headers=headers)
    scene.history.add(
        "poison", marker=marker, queue=queue.name, form=form, behind=attempts, kills=form.startswith(_KILLER)
    )


def _marker() -> str:
    return f"poison-{next(_markers)}"


@asynccontextmanager
async def raises(scene: Scene, dice: Random, *, each: int = 3) -> AsyncIterator[None]:
    """What decodes and whose handler fails whenever it is called, for good at once or for no reason that is known.

    The ladder takes more than two hours. So some are put in as they are, to be seen on it, and some with all their
    attempts but the last behind them.
    """
    if not scene.tenants:
        raise Missed("there is no organisation")
    events, updates = queues.FETCHER_XERO_EVENT_RECEIVED, queues.NOTIFIER_WHATSAPP_UPDATE_RECEIVED
    for _ in range(each):
        tenant = dice.choice(scene.tenants)
        marker = _marker()
        await _put(scene, events, _xero_event(marker, tenant, category="UNHEARD_OF"), marker, "unknown category")
        marker = _marker()
        await _put(scene, events, _xero_event(marker, tenant), marker, "an invoice that is not there")
        marker = _marker()
        # Its moment's name is how it is known again.
        scan = {"tenant_id": tenant, "kind": "receivables", "local_date": _now()[:10], "moment": marker}
        await _put(scene, queues.FETCHER_SCAN_REQUESTED, scan, marker, "a scan up to no day")
        marker = _marker()
        huge = _enriched(marker, tenant, amount="1E+30")
        await _put(scene, queues.NOTIFIER_INVOICE_ENRICHED, huge, marker, "an amount beyond all bounds")
        for behind in (0, MAX_ATTEMPTS - 1):
            marker = _marker()
            form = f"a code beyond all bounds, {behind} attempts behind it"
            await _put(scene, updates, _failed_status(marker), marker, form, attempts=behind)
    yield


@asynccontextmanager
async def kills(scene: Scene, dice: Random, *, service: str) -> AsyncIterator[None]:
    """Two messages that end the process whenever it takes them. The ladder takes more than two hours: one begins there,
    and one has all its attempts but the last behind it.
    """
    folder = scene.traps(service)
    folder.mkdir(parents=True, exist_ok=True)
    new, old = _marker(), _marker()
    (folder / MARKED).write_text(f"{new}\n{old}", encoding="utf-8")
    killed = folder / KILLED
    killed.unlink(missing_ok=True)
    queue = queues.FETCHER_XERO_EVENT_RECEIVED if service == "fetcher" else queues.NOTIFIER_INVOICE_ENRICHED

    async def put(marker: str, behind: int) -> None:
        tenant = dice.choice(scene.tenants)
        # Once it is let live, there is nobody to send it to.
        body = _xero_event(marker, tenant) if service == "fetcher" else _enriched(marker, tenant, phone=None)
        form, reason = f"{_KILLER}, {behind} attempts behind it", CONSUMER_LOST if behind else ""
        await _put(scene, queue, body, marker, form, attempts=behind, reason=reason)

    try:
        # One after the other: neither is to be counted for what the other does.
        await put(old, MAX_ATTEMPTS - 1)
        await until(partial(_given_up, scene, service, old), _PARKED_SECONDS, "the end of the old one")
        await put(new, 0)
        await until(partial(_far_up, scene, new), _PARKED_SECONDS, "the new one's place on the ladder")
        yield
    finally:
        # Whatever became of them, nobody is killed any more.
        (folder / MARKED).unlink()
        lines = killed.read_text(encoding="utf-8").split("\n") if killed.exists() else []
        for mark, at in (line.split() for line in lines if line):
            scene.history.add("strike", at=float(at), point=f"{service}-marked", ids=[mark])
    if not lines:
        raise Missed("nobody was killed")


async def _given_up(scene: Scene, service: str, mark: str) -> bool:
    return bool(await _attempts_in(scene, queues.dead_queue(service), mark))


async def _far_up(scene: Scene, mark: str) -> bool:
    """It has killed once more when it came off the ladder."""
    return any([await _attempts_in(scene, rung.name, mark) >= _FAR_UP for rung in LADDER])


async def _attempts_in(scene: Scene, queue: str, mark: str) -> int:
    """As the message says that lies there; 0 when none does."""
    await asyncio.sleep(0.2)
    found = [each for each in await scene.messages_in(queue) if mark in IDS.findall(each["payload"])]
    return max((each["properties"].get("headers", {}).get(ATTEMPT, 0) for each in found), default=0)


@asynccontextmanager
async def dead_letters_full(scene: Scene, dice: Random, *, each: int = 20) -> AsyncIterator[None]:
    """The dead-letter queues take one letter and no more, while dozens come."""
    services = ("fetcher", "notifier")
    pattern = f"^({'|'.join(services)})\\.dead$"
    policy = {"pattern": pattern, "definition": {"max-length": 1}, "apply-to": "queues"}
    path = f"/api/policies/{VHOST}/{_FULL}"
    (await scene.management.put(path, json=policy)).raise_for_status()
    try:
        for _ in range(each):
            tenant = dice.choice(scene.tenants)
            marker = _marker()
            event = _xero_event(marker, tenant, category="UNHEARD_OF")
            await _put(scene, queues.FETCHER_XERO_EVENT_RECEIVED, event, marker, "unknown category")
            marker = _marker()
            bad = {**_enriched(marker, tenant), "tenant_id": 7}
            await _put(scene, queues.NOTIFIER_INVOICE_ENRICHED, bad, marker, "wrong shape")
        yield
    finally:
        (await scene.management.delete(path)).raise_for_status()


FAULTS = [
    Fault("poison-raises", raises, lingers=60),
    Fault("poison-kills-fetcher", partial(kills, service="fetcher"), lingers=60),
    Fault("poison-kills-notifier", partial(kills, service="notifier"), lingers=60),
    Fault("dead-letters-full", dead_letters_full, 40, lingers=240),
]
