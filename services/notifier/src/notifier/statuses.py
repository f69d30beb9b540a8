"""How news about one message, in any order and any number, becomes one state."""

from shared.contracts.messages import MessageState

_RANK = {
    MessageState.SENDING: 0,
    MessageState.UNKNOWN: 1,
    MessageState.ACCEPTED: 2,
    MessageState.SENT: 3,
    MessageState.FAILED: 4,
    MessageState.DELIVERED: 5,
    MessageState.READ: 6,
}
"""Failed lies under delivered: a message that failed on one device and reached another did arrive."""

_PROVIDER_STATES = {
    "sent": MessageState.SENT,
    "delivered": MessageState.DELIVERED,
    "read": MessageState.READ,
    "played": MessageState.READ,
    "failed": MessageState.FAILED,
    **dict.fromkeys(("accepted", "scheduled", "queued", "sending"), MessageState.ACCEPTED),
    **dict.fromkeys(("undelivered", "canceled"), MessageState.FAILED),
}


def state_of(status: str | None) -> MessageState | None:
    """Our word for the provider's, None for one we do not know."""
    return _PROVIDER_STATES.get((status or "").lower())


def merged(current: MessageState, news: MessageState) -> MessageState:
    """The state after ``news``: forward only, whatever came first.

    A message not on its way (planned, held, cancelled) believes only good news: a failure there is of an earlier try.
    """
    if current not in _RANK:
        return current if news in {MessageState.FAILED, MessageState.UNKNOWN} else news
    return max(current, news, key=_RANK.__getitem__)
