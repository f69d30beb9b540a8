"""The promises between services: every event, and the two questions of the token-broker."""

from shared.contracts.base import Event
from shared.contracts.connections import ConnectionEstablishedV1, ConnectionLostV1
from shared.contracts.invoices import InvoiceEnrichedV1, OrganisationReadV1
from shared.contracts.messages import MessageChangedV1
from shared.contracts.scans import InvoiceLookRequestedV1, ScanRequestedV1
from shared.contracts.whatsapp import WhatsAppTemplateChangedV1, WhatsAppUpdateReceivedV1
from shared.contracts.xero import WebhookSilentV1, XeroEventReceivedV1

EVENTS: tuple[type[Event], ...] = (
    XeroEventReceivedV1,
    ScanRequestedV1,
    InvoiceLookRequestedV1,
    InvoiceEnrichedV1,
    OrganisationReadV1,
    WhatsAppUpdateReceivedV1,
    WhatsAppTemplateChangedV1,
    ConnectionEstablishedV1,
    ConnectionLostV1,
    MessageChangedV1,
    WebhookSilentV1,
)
"""All events, in the order of the way they travel."""

__all__ = [
    "EVENTS",
    "ConnectionEstablishedV1",
    "ConnectionLostV1",
    "Event",
    "InvoiceEnrichedV1",
    "InvoiceLookRequestedV1",
    "MessageChangedV1",
    "OrganisationReadV1",
    "ScanRequestedV1",
    "WebhookSilentV1",
    "WhatsAppTemplateChangedV1",
    "WhatsAppUpdateReceivedV1",
    "XeroEventReceivedV1",
]
