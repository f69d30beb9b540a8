"""What ingress says of a WhatsApp webhook: a message's status, a person's message, or news of a template."""

from enum import StrEnum
from typing import Any, ClassVar

from shared.contracts.base import Event, Identifier, UtcTime


class WhatsAppUpdateKind(StrEnum):
    STATUS = "status"
    MESSAGE = "message"


class WhatsAppUpdateReceivedV1(Event):
    """One element of ``statuses[]`` or ``messages[]``, normalised; ``raw`` is the element as it came.

    ``update_id`` is the same for a repeated delivery. ``provider_message_id`` is the wamid: of our message for a
    status, of theirs for an inbound message. ``reference`` echoes ``biz_opaque_callback_data``; ``reply_to`` is the
    wamid an inbound message answers. ``person_phone`` is E.164 with ``+`` when Meta tells it, ``person_user_id`` the
    business-scoped user id.

    ``provider`` is whose webhook it was. Twilio's has a sid where Meta's has a wamid, our number in
    ``phone_number_id``, and why a message failed in ``error_code``.
    """

    key: ClassVar[str] = "whatsapp.update.received.v1"

    update_id: Identifier
    kind: WhatsAppUpdateKind
    phone_number_id: str | None
    provider_message_id: str
    happened_at: UtcTime
    received_at: UtcTime
    status: str | None = None
    reference: str | None = None
    person_phone: str | None = None
    person_user_id: str | None = None
    text: str | None = None
    button_payload: str | None = None
    reply_to: str | None = None
    provider: str = "meta"
    error_code: int | None = None
    raw: dict[str, Any]


class WhatsAppTemplateChangedV1(Event):
    """What became of one message template in one language; None stands for what this change does not tell.

    ``status_event`` is Meta's word (APPROVED, PAUSED, REINSTATED, …), ``category`` the one that holds now,
    ``account_id`` the WhatsApp Business Account's; ``raw`` is the change as it came. ``change_id`` is the same for a
    repeated delivery.
    """

    key: ClassVar[str] = "whatsapp.template.changed.v1"

    change_id: Identifier
    account_id: str | None
    template_id: str | None
    name: Identifier
    language: Identifier
    happened_at: UtcTime
    received_at: UtcTime
    status_event: str | None = None
    category: str | None = None
    quality: str | None = None
    reason: str | None = None
    raw: dict[str, Any]
