"""The least rights of each service's RabbitMQ user.

Nobody but the administrator may declare anything. A topic permission limits the routing keys, so that a stolen service
can neither forge another's events nor put work into another's queues by way of the delay ladder.
"""

import re
from dataclasses import dataclass, field

from shared.contracts import (
    ConnectionEstablishedV1,
    ConnectionLostV1,
    InvoiceEnrichedV1,
    InvoiceLookRequestedV1,
    MessageChangedV1,
    OrganisationReadV1,
    ScanRequestedV1,
    WebhookSilentV1,
    WhatsAppTemplateChangedV1,
    WhatsAppUpdateReceivedV1,
    XeroEventReceivedV1,
)
from shared.contracts.tokens import ConnectionsListRequest, TokenAccessRequest
from shared.topology import exchanges
from shared.topology.delays import LADDER

PROBE_KEY = "probe"
"""The readiness probe publishes this; nothing is bound to it."""

_PUBLISHES: dict[str, tuple[str, ...]] = {
    "ingress": (XeroEventReceivedV1.key, WhatsAppUpdateReceivedV1.key, WhatsAppTemplateChangedV1.key),
    "token-broker": (ConnectionEstablishedV1.key, ConnectionLostV1.key),
    "fetcher": (InvoiceEnrichedV1.key, OrganisationReadV1.key, WebhookSilentV1.key),
    "scheduler": (ScanRequestedV1.key,),
    "notifier": (InvoiceLookRequestedV1.key, MessageChangedV1.key),
}
_ASKS: dict[str, tuple[str, ...]] = {
    "fetcher": (TokenAccessRequest.key, ConnectionsListRequest.key),
    "scheduler": (ConnectionsListRequest.key,),
}


@dataclass(frozen=True)
class Permissions:
    """Regular expressions as RabbitMQ takes them; ``topic``: exchange → the routing keys it may be written with."""

    configure: str
    write: str
    read: str
    topic: dict[str, str] = field(default_factory=dict)


def permissions() -> dict[str, Permissions]:
    """Service → the rights of its user."""
    return {service: _of(service) for service in _PUBLISHES}


def _of(service: str) -> Permissions:
    topic = {exchanges.EVENTS: _any((*_PUBLISHES[service], PROBE_KEY)), exchanges.DEAD: _any((service,))}
    for rung in LADDER:
        topic[rung.name] = f"^{re.escape(service)}\\..+$"
    if asks := _ASKS.get(service):
        topic[exchanges.RPC] = _any(asks)
    writes = [*topic]
    if service == "token-broker":
        writes.append("amq.default")  # answers go to the caller's reply address by way of the default exchange
    return Permissions(
        configure="^$", write=_any(tuple(writes)), read=f"^{re.escape(service)}\\.(?!dead$).+$", topic=topic
    )


def _any(words: tuple[str, ...]) -> str:
    return "^(" + "|".join(re.escape(word) for word in words) + ")$"
