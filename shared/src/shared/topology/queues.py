"""The whole map of consumer queues, one line each; ``‹service›.‹key›`` explains itself on the management page."""

from dataclasses import dataclass
from enum import Enum

from faststream.rabbit import RabbitQueue

from shared.contracts import (
    ConnectionEstablishedV1,
    ConnectionLostV1,
    InvoiceEnrichedV1,
    InvoiceLookRequestedV1,
    OrganisationReadV1,
    ScanRequestedV1,
    WebhookSilentV1,
    WhatsAppTemplateChangedV1,
    WhatsAppUpdateReceivedV1,
    XeroEventReceivedV1,
)
from shared.contracts.tokens import ConnectionsListRequest, TokenAccessRequest
from shared.topology import exchanges, lanes
from shared.topology.lanes import Lane

Arguments = dict[str, str | int]

MAX_LENGTH = 1_000_000
"""Work a queue holds before publishing is refused: about a month-end of 1,000 tenants."""
DELIVERY_LIMIT = 20
"""A fuse for consumers that die with their message; ordinary failures are counted by us (``delays.MAX_ATTEMPTS``)."""
RPC_TTL_MS = 10_000


class Purpose(Enum):
    WORK = "work"
    RPC = "rpc"


@dataclass(frozen=True)
class Queue:
    """A queue that ``service`` consumes, bound to ``exchange`` by ``key``, or by ``headers`` where they are given.

    With a ``lane`` it takes that lane's part of its key's messages.
    """

    service: str
    key: str
    purpose: Purpose = Purpose.WORK
    lane: Lane | None = None

    @property
    def name(self) -> str:
        name = f"{self.service}.{self.key}"
        return f"{name}.{self.lane}" if self.lane is Lane.BULK else name

    @property
    def exchange(self) -> str:
        if self.purpose is Purpose.RPC:
            return exchanges.RPC
        match self.lane:
            case None:
                return exchanges.EVENTS
            case Lane.HOT:
                return exchanges.HOT_LANE
            case Lane.BULK:
                return exchanges.LANES

    @property
    def headers(self) -> Arguments:
        """What a message's headers must be, all of them, to reach a queue of the headers exchange."""
        return {lanes.HEADER: str(self.lane), "x-match": "all"} if self.lane is Lane.BULK else {}

    def takes(self, routing_key: str) -> bool:
        """Whether a delivery was meant for this queue: it has its key, or its name when it comes off the ladder."""
        return routing_key in (self.key, self.name)

    @property
    def arguments(self) -> Arguments:
        if self.purpose is Purpose.RPC:
            return {
                # A classic one would be away with its node, and every question with it.
                "x-queue-type": "quorum",
                "x-message-ttl": RPC_TTL_MS,
                "x-max-length": 10_000,
                "x-overflow": "reject-publish",
            }
        return {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": exchanges.DEAD,
            "x-dead-letter-routing-key": self.service,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
            "x-max-length": MAX_LENGTH,
            "x-delivery-limit": DELIVERY_LIMIT,
        }

    def subscription(self) -> RabbitQueue:
        """What a subscriber names. It never declares: a missing queue stops the start-up instead."""
        return RabbitQueue(self.name, declare=False)


FETCHER_XERO_EVENT_RECEIVED = Queue("fetcher", XeroEventReceivedV1.key, lane=Lane.HOT)
FETCHER_XERO_EVENT_RECEIVED_BULK = Queue("fetcher", XeroEventReceivedV1.key, lane=Lane.BULK)
FETCHER_SCAN_REQUESTED = Queue("fetcher", ScanRequestedV1.key)
FETCHER_INVOICE_LOOK_REQUESTED = Queue("fetcher", InvoiceLookRequestedV1.key)
FETCHER_CONNECTION_ESTABLISHED = Queue("fetcher", ConnectionEstablishedV1.key)
NOTIFIER_INVOICE_ENRICHED = Queue("notifier", InvoiceEnrichedV1.key)
NOTIFIER_WHATSAPP_UPDATE_RECEIVED = Queue("notifier", WhatsAppUpdateReceivedV1.key)
NOTIFIER_WHATSAPP_TEMPLATE_CHANGED = Queue("notifier", WhatsAppTemplateChangedV1.key)
NOTIFIER_CONNECTION_ESTABLISHED = Queue("notifier", ConnectionEstablishedV1.key)
NOTIFIER_CONNECTION_LOST = Queue("notifier", ConnectionLostV1.key)
SCHEDULER_ORGANISATION_READ = Queue("scheduler", OrganisationReadV1.key)
SCHEDULER_WEBHOOK_SILENT = Queue("scheduler", WebhookSilentV1.key)
TOKEN_BROKER_TOKEN_ACCESS = Queue("token-broker", TokenAccessRequest.key, Purpose.RPC)
TOKEN_BROKER_CONNECTIONS_LIST = Queue("token-broker", ConnectionsListRequest.key, Purpose.RPC)

QUEUES: tuple[Queue, ...] = (
    FETCHER_XERO_EVENT_RECEIVED,
    FETCHER_XERO_EVENT_RECEIVED_BULK,
    FETCHER_SCAN_REQUESTED,
    FETCHER_INVOICE_LOOK_REQUESTED,
    FETCHER_CONNECTION_ESTABLISHED,
    NOTIFIER_INVOICE_ENRICHED,
    NOTIFIER_WHATSAPP_UPDATE_RECEIVED,
    NOTIFIER_WHATSAPP_TEMPLATE_CHANGED,
    NOTIFIER_CONNECTION_ESTABLISHED,
    NOTIFIER_CONNECTION_LOST,
    SCHEDULER_ORGANISATION_READ,
    SCHEDULER_WEBHOOK_SILENT,
    TOKEN_BROKER_TOKEN_ACCESS,
    TOKEN_BROKER_CONNECTIONS_LIST,
)

LANED_KEYS = tuple(dict.fromkeys(queue.key for queue in QUEUES if queue.lane))
"""What ``exchanges.LANES`` divides. It looks at headers alone: bulk queues of several keys would share all of them."""

SERVICES = ("ingress", "token-broker", "fetcher", "scheduler", "notifier")


def dead_queue(service: str) -> str:
    """Where the service's exhausted and unreadable messages wait for a person."""
    return f"{service}.dead"


DEAD_ARGUMENTS: Arguments = {
    "x-queue-type": "quorum",
    "x-overflow": "reject-publish",
    "x-max-length": MAX_LENGTH,
    # RabbitMQ 4 drops after 20 deliveries where nothing is said, and every listing is one.
    "x-delivery-limit": 1_000_000_000,
}


def delay_arguments(seconds: int) -> Arguments:
    """At-least-once needs a quorum queue that refuses when full; otherwise it silently becomes at-most-once."""
    return {
        "x-queue-type": "quorum",
        "x-message-ttl": seconds * 1000,
        "x-dead-letter-exchange": "",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-max-length": MAX_LENGTH,
    }
