"""What ingress says of a Xero webhook: look at this id again."""

from typing import ClassVar
from uuid import NAMESPACE_URL, uuid5

from shared.contracts.base import Event, Identifier, UtcTime


class XeroEventReceivedV1(Event):
    """One element of a webhook's ``events``; thin on purpose, the invoice itself must be read.

    ``category`` and ``event_type`` are upper case, as Xero writes them (INVOICE, CONTACT …; CREATE, UPDATE).
    """

    key: ClassVar[str] = "xero.event.received.v1"

    event_id: Identifier
    tenant_id: Identifier
    category: Identifier
    event_type: Identifier
    resource_id: Identifier
    event_at: UtcTime
    received_at: UtcTime


def xero_event_id(tenant_id: str, category: str, resource_id: str, event_at: str, event_type: str) -> str:
    """The same event delivered again has the same id: Xero's payload has none, so its parts make one."""
    return str(uuid5(NAMESPACE_URL, f"{tenant_id}\n{category}\n{resource_id}\n{event_at}\n{event_type}"))
