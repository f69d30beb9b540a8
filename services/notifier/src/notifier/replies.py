"""What kind of message a person wrote: a wish, an answer that somebody should read, or a mere sign of having read."""

from enum import StrEnum

from notifier.wishes import plain_words, wish_of
from shared.contracts.whatsapp import WhatsAppUpdateReceivedV1


class InboundKind(StrEnum):
    STOP = "stop"
    START = "start"
    TEXT = "text"
    BUTTON = "button"
    MEDIA = "media"
    OTHER = "other"
    ACKNOWLEDGEMENT = "acknowledgement"
    """A text that says no more than that it was read, such as "ok"."""
    REACTION = "reaction"
    SYSTEM = "system"
    """What WhatsApp tells of the person, not the person of anything."""


ANSWERS = frozenset({InboundKind.TEXT, InboundKind.BUTTON, InboundKind.MEDIA, InboundKind.OTHER})
"""Kinds that somebody should read before the next reminder leaves."""

_BY_TYPE = {
    **dict.fromkeys(("text",), InboundKind.TEXT),
    **dict.fromkeys(("button", "interactive"), InboundKind.BUTTON),
    **dict.fromkeys(("image", "document", "audio", "video", "sticker", "location", "contacts"), InboundKind.MEDIA),
    "reaction": InboundKind.REACTION,
    **dict.fromkeys(("system", "request_welcome", "unsupported", "unknown"), InboundKind.SYSTEM),
}
_ACKNOWLEDGEMENTS = frozenset(
    {
        *("", "ok", "okay", "k", "kk", "okk", "yes", "sure", "noted", "received", "got it", "done", "fine", "great"),
        *("thanks", "thank you", "thx", "ty", "thank you so much", "ok thanks", "ok thank you", "ok noted", "welcome"),
        *("ठीक है", "धन्यवाद", "जी", "अच्छा", "theek hai", "thik hai", "dhanyavad", "dhanyawad", "shukriya", "ji", "acha"),
    }
)
"""No words are left of a text of signs alone, such as a thumb."""


def kind_of(update: WhatsAppUpdateReceivedV1) -> InboundKind:
    """By its meaning first, then by WhatsApp's word for it; what is new to us is an answer."""
    wish = wish_of(update.button_payload, update.text)
    if wish is not None:
        return InboundKind.STOP if wish else InboundKind.START
    written = "text" if update.text is not None and "type" not in update.raw else update.raw.get("type")
    kind = _BY_TYPE.get(str(written), InboundKind.OTHER)
    if kind is InboundKind.TEXT and " ".join(plain_words(update.text or "")) in _ACKNOWLEDGEMENTS:
        return InboundKind.ACKNOWLEDGEMENT
    return kind
