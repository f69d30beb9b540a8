"""Learning from WhatsApp's webhooks: what became of a message, and who wants no more."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from notifier.lesson_ports import Lessons, StatusNews, Wish
from notifier.statuses import state_of
from notifier.wishes import wish_of
from shared.contracts.messages import MessageChangedV1, MessageState
from shared.contracts.whatsapp import WhatsAppUpdateKind, WhatsAppUpdateReceivedV1


class Learn:
    """The use case behind ``whatsapp.update.received.v1``; any order and any number of the same ends the same."""

    def __init__(self, lessons: Lessons, *, clock: Callable[[], datetime], stopped: Callable[[str], None]) -> None:
        self._lessons = lessons
        self._clock = clock
        self._stopped = stopped

    async def __call__(self, update: WhatsAppUpdateReceivedV1) -> Sequence[MessageChangedV1]:
        now = self._clock()
        if update.kind is WhatsAppUpdateKind.MESSAGE:
            return await self._message(update, now)
        state = state_of(update.status)
        if state is None:
            return []
        news = StatusNews(
            reference=update.reference,
            provider_message_id=update.provider_message_id,
            state=state,
            error_code=(update.error_code or failure_code(update.raw)) if state is MessageState.FAILED else None,
            person_user_id=update.person_user_id,
            whatsapp_phone=update.person_phone,
            as_marketing=is_billed_as_marketing(update.raw),
            provider=update.provider,
        )
        changes = await self._lessons.status(news, now)
        # Accepted first and failed afterwards: without a breaker the whole queue would go the same way.
        for change in changes:
            if change.state is MessageState.PLANNED and change.reason:
                self._stopped(change.reason)
        return changes

    async def _message(self, update: WhatsAppUpdateReceivedV1, now: datetime) -> Sequence[MessageChangedV1]:
        opted_out = wish_of(update.button_payload, update.text)
        if opted_out is None:
            return []
        wish = Wish(
            phone=update.person_phone,
            user_id=update.person_user_id,
            reply_to=update.reply_to,
            opted_out=opted_out,
            said_at=update.happened_at,
        )
        return await self._lessons.wish(wish, now)


def failure_code(raw: dict[str, Any]) -> int | None:
    """The first error's code in a status as Meta sent it."""
    errors = raw.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return code if isinstance(code, int) else None


def is_billed_as_marketing(raw: dict[str, Any]) -> bool:
    """Whether a status prices the message as marketing, which all of our templates are not."""
    pricing = raw.get("pricing")
    category = pricing.get("category") if isinstance(pricing, dict) else None
    return isinstance(category, str) and category.lower().startswith("marketing")
