"""Learning from WhatsApp's webhooks: what became of a message, and who wants no more."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from notifier.lesson_ports import Lessons, Reply, StatusNews, Wish
from notifier.rates import pricing_of
from notifier.replies import ANSWERS, InboundKind, kind_of
from notifier.statuses import state_of
from shared.contracts.messages import MessageChangedV1, MessageState
from shared.contracts.whatsapp import WhatsAppUpdateKind, WhatsAppUpdateReceivedV1

_LONGEST_DETAILS = 2000


class Learn:
    """The use case behind ``whatsapp.update.received.v1``; any order and any number of the same ends the same."""

    def __init__(
        self,
        lessons: Lessons,
        *,
        clock: Callable[[], datetime],
        stopped: Callable[[str], None],
        heard: Callable[[InboundKind], None],
    ) -> None:
        """``heard`` counts what people write, by kind; the words are kept nowhere."""
        self._lessons = lessons
        self._clock = clock
        self._stopped = stopped
        self._heard = heard

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
            details=failure_details(update.raw) if state is MessageState.FAILED else None,
            pricing=pricing_of(update.raw),
            provider=update.provider,
        )
        changes = await self._lessons.status(news, now)
        # Accepted first and failed afterwards: without a breaker the whole queue would go the same way.
        for change in changes:
            if change.state is MessageState.PLANNED and change.reason:
                self._stopped(change.reason)
        return changes

    async def _message(self, update: WhatsAppUpdateReceivedV1, now: datetime) -> Sequence[MessageChangedV1]:
        kind = kind_of(update)
        self._heard(kind)
        who, said_at = (update.person_phone, update.person_user_id, update.reply_to), update.happened_at
        if kind in {InboundKind.STOP, InboundKind.START}:
            return await self._lessons.wish(Wish(*who, opted_out=kind is InboundKind.STOP, said_at=said_at), now)
        if kind in ANSWERS:
            await self._lessons.reply(Reply(*who, said_at=said_at))
        return []


def failure_code(raw: dict[str, Any]) -> int | None:
    """The first error's code in a status as Meta sent it."""
    errors = raw.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return code if isinstance(code, int) else None


def failure_details(raw: dict[str, Any]) -> str | None:
    """Everything the errors of a status say, each as its code, title, message and details; what repeats once."""
    errors = raw.get("errors")
    told = [_told(error) for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    return " | ".join(filter(None, told))[:_LONGEST_DETAILS] or None


def _told(error: dict[str, Any]) -> str:
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    parts = (error.get("code"), error.get("title"), error.get("message"), details)
    return ": ".join(dict.fromkeys(" ".join(str(part).split()) for part in parts if part))
