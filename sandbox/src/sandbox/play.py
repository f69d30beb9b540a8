"""The admin API for action: consent, webhooks of both doubles, statuses, inbound messages and token trouble."""

import asyncio
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.routing import Route

from sandbox import use_cases
from sandbox.admin import admin_routes, body_of
from sandbox.books import BookError
from sandbox.delivery import Answer
from sandbox.orders import ConsentOrder, EventOrder, InboundOrder, SendOrder, StatusBatch, StatusOrder
from sandbox.whatsapp.review import change_template, forget_templates, template_status
from sandbox.world import World
from sandbox.xero.login import BadRequestError, check, decide
from sandbox.xero.payloads import event
from sandbox.xero.webhooks import batches


async def consent(request: Request, world: World) -> Any:
    """`POST /sandbox/consent`: decide on an authorize address without a browser; returns the redirect to follow."""
    order = await body_of(request, ConsentOrder)
    try:
        asked = check(dict(parse_qsl(urlsplit(order.url).query, keep_blank_values=True)), world.settings)
    except BadRequestError as error:
        raise BookError(str(error)) from None
    target = decide(world, asked, allow=order.allow, organisations=order.organisations, user=order.user)
    return {"redirect": target}


async def expire_tokens(_request: Request, world: World) -> Any:
    """`POST /sandbox/tokens/expire`: every access token issued so far is expired from now on."""
    world.identity.not_before = world.clock()
    return {"ok": True}


async def revoke_grants(_request: Request, world: World) -> Any:
    """`POST /sandbox/grants/revoke`: every user withdraws: refreshing fails and no connection is left."""
    for user_id in world.identity.users.values():
        world.identity.revoke_user(user_id)
    return {"ok": True}


async def disconnect(request: Request, world: World) -> Any:
    """`POST /sandbox/organisations/{id}/disconnect`: as if done inside Xero; refreshing goes on working."""
    tenant = world.books.organisations[request.path_params["id"]].tenant_id
    links = [link for link in world.identity.connections.values() if link.tenant_id == tenant]
    for link in links:
        del world.identity.connections[link.id]
    return {"disconnected": len(links)}


async def handshake(_request: Request, world: World) -> Any:
    """`POST /sandbox/webhooks/xero/handshake`: intent to receive, with the verdict."""
    return await world.xero_webhooks.handshake()


async def send_events(request: Request, world: World) -> Any:
    """`POST /sandbox/webhooks/xero/send`: deliver now, without retries; returns every answer."""
    order = await body_of(request, SendOrder)
    events = [_event(item, world) for item in order.events]
    dice = world.random if order.shuffle else None
    deliveries = batches(events, order.batch, order.copies, dice)
    if order.raw is not None or not deliveries:
        deliveries = [[]] * order.copies
    gate = asyncio.Semaphore(order.concurrency)
    raw = None if order.raw is None else order.raw.encode()

    async def one(rows: list[dict[str, Any]]) -> Answer:
        async with gate:
            return await world.xero_webhooks.send(rows, forged=order.forged, raw=raw, signature=order.signature)

    return _answers(await asyncio.gather(*(one(rows) for rows in deliveries)))


async def queue_events(request: Request, world: World) -> Any:
    """`POST /sandbox/webhooks/xero/queue`: deliver in the background, with retries, as Xero does."""
    order = await body_of(request, SendOrder)
    for item in order.events:
        for _ in range(order.copies):
            world.xero_webhooks.queue(_event(item, world))
    return {"queued": len(order.events) * order.copies}


async def verify(_request: Request, world: World) -> Any:
    """`POST /sandbox/webhooks/whatsapp/verify`: the verification GET, with the verdict."""
    return await world.whatsapp_webhooks.verify()


async def one_status(request: Request, world: World) -> Any:
    """`POST /sandbox/messages/{wamid}/status`."""
    order = await body_of(request, StatusOrder)
    return _answers(await use_cases.give_status(world, request.path_params["wamid"], order))


async def many_statuses(request: Request, world: World) -> Any:
    """`POST /sandbox/webhooks/whatsapp/statuses`: many statuses in one POST, or any raw text."""
    order = await body_of(request, StatusBatch)
    sender = world.whatsapp_webhooks
    items = [sender.status(world.outbox.messages[wamid], status, world.clock()) for wamid, status in order.statuses]
    if order.shuffle:
        world.random.shuffle(items)
    raw = None if order.raw is None else order.raw.encode()
    return _answers(
        [
            await sender.send(items, forged=order.forged, raw=raw, per_change=order.per_change)
            for _ in range(order.copies)
        ]
    )


async def inbound(request: Request, world: World) -> Any:
    """`POST /sandbox/inbound`: a customer writes or taps a button."""
    order = await body_of(request, InboundOrder)
    message, answers = await use_cases.customer_writes(world, order)
    return {"wamid": message.wamid} | _answers(answers)


async def list_messages(_request: Request, world: World) -> Any:
    """`GET /sandbox/messages`."""
    return {"messages": [message.as_json() for message in world.outbox.messages.values()]}


def _event(item: EventOrder, world: World) -> dict[str, Any]:
    at = item.at or world.clock()
    return event(item.tenant_id, item.resource_id, at, category=item.category, kind=item.type, data=item.data)


def _answers(answers: list[Answer]) -> dict[str, Any]:
    return {"answers": [answer.as_json() for answer in answers]}


def play_routes() -> list[Route]:
    """The admin addresses for action."""
    table = [
        ("POST", "/consent", consent),
        ("POST", "/tokens/expire", expire_tokens),
        ("POST", "/grants/revoke", revoke_grants),
        ("POST", "/organisations/{id}/disconnect", disconnect),
        ("POST", "/webhooks/xero/handshake", handshake),
        ("POST", "/webhooks/xero/send", send_events),
        ("POST", "/webhooks/xero/queue", queue_events),
        ("POST", "/webhooks/whatsapp/verify", verify),
        ("POST", "/webhooks/whatsapp/statuses", many_statuses),
        ("GET", "/messages", list_messages),
        ("POST", "/messages/{wamid:path}/status", one_status),
        ("POST", "/inbound", inbound),
        ("POST", "/templates/{name}/{status}", template_status),
        ("POST", "/templates/{name}", change_template),
        ("DELETE", "/templates", forget_templates),
    ]
    return admin_routes("/sandbox", table)
