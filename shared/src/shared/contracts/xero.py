"""What is said of Xero's webhooks: look at this id again, and that none come any more."""

from typing import Annotated, ClassVar
from uuid import NAMESPACE_URL, uuid5

from pydantic import Field

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


class WebhookSilentV1(Event):
    """Xero's webhooks reach us no more, for any organisation; polls alone find what changes.

    Published once when it is noticed and once a day while it lasts; it holds until ``until``. ``changes`` were found by
    polls alone since ``since``, the first of them, in so many ``tenants``; ``heard_at`` is when the last webhook about
    an invoice came, where that is known. ``remedy`` says what a person can do.
    """

    key: ClassVar[str] = "webhook.silent.v1"

    since: UtcTime
    heard_at: UtcTime | None
    changes: Annotated[int, Field(ge=0)]
    tenants: Annotated[int, Field(ge=0)]
    announced_at: UtcTime
    until: UtcTime
    remedy: str


def xero_event_id(tenant_id: str, category: str, resource_id: str, event_at: str, event_type: str) -> str:
    """The same event delivered again has the same id: Xero's payload has none, so its parts make one."""
    return str(uuid5(NAMESPACE_URL, f"{tenant_id}\n{category}\n{resource_id}\n{event_at}\n{event_type}"))
