"""What Meta's error codes mean for the sender, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class ErrorClass(StrEnum):
    RETRY = "retry"
    """Not sent; may be sent soon."""
    LATER = "later"
    """Not sent; may be sent in some hours."""
    ACCOUNT = "account"
    """Nothing can be sent until somebody mends the account."""
    TEMPLATE = "template"
    """The template cannot be used."""
    RECIPIENT = "recipient"
    """This person cannot be reached."""
    OURS = "ours"
    """The request or the configuration is wrong."""
    OTHER = "other"
    """Nothing that a sender can act on."""


@dataclass(frozen=True, slots=True)
class Handling:
    """``tries`` is how often one message may be tried in all, ``whole_sender`` that all messages wait."""

    error_class: ErrorClass
    tries: int = 1
    whole_sender: bool = False


ACCOUNT_PAUSE = timedelta(minutes=5)
"""How long all senders wait after an account fault before one message tries again."""
LATER_AFTER = timedelta(hours=3)
"""The shortest pause that Meta gives a template."""
NOT_REACHED = Handling(ErrorClass.RETRY, tries=8)
"""The connection was never made."""

_RETRY = Handling(ErrorClass.RETRY, tries=6)
_RETRY_FEW = Handling(ErrorClass.RETRY, tries=3)
_RETRY_ALL_WAIT = Handling(ErrorClass.RETRY, tries=6, whole_sender=True)
_LATER = Handling(ErrorClass.LATER, tries=4)
_ACCOUNT = Handling(ErrorClass.ACCOUNT, whole_sender=True)
_TEMPLATE = Handling(ErrorClass.TEMPLATE)
_RECIPIENT = Handling(ErrorClass.RECIPIENT)
_OURS = Handling(ErrorClass.OURS)

HANDLINGS: Mapping[int, Handling] = {
    **dict.fromkeys([0, 3, 10, 33, 190, 368, 131005, 131031, 131037, 131042, 131045, 131048, 131064, 134011], _ACCOUNT),
    **dict.fromkeys(range(200, 300), _ACCOUNT),
    **dict.fromkeys(range(133000, 133017), _ACCOUNT),
    **dict.fromkeys([2, 131016, 131056, 131057, 133004], _RETRY),
    **dict.fromkeys([4, 80007, 130429], _RETRY_ALL_WAIT),
    **dict.fromkeys([1, 131000], _RETRY_FEW),
    131053: Handling(ErrorClass.RETRY, tries=2),
    132015: _LATER,
    **dict.fromkeys([132001, 132007, 132016, 131063], _TEMPLATE),
    **dict.fromkeys([130403, 130472, 130497, 131021, 131026, 131049, 131050], _RECIPIENT),
    **dict.fromkeys([100, 131008, 131009, 131030, 131047, 131051, 131062, 135000], _OURS),
    **dict.fromkeys([132000, 132005, 132012, 132018, 132068, 132069], _OURS),
    131052: Handling(ErrorClass.OTHER),
}

_UNLISTED = Handling(ErrorClass.OURS)


def is_listed(code: int) -> bool:
    return code in HANDLINGS


def handling(code: int) -> Handling:
    """How to go on after ``code``; one that is not listed is never retried."""
    return HANDLINGS.get(code, _UNLISTED)


def is_account_fault(code: int | None) -> bool:
    """Whether the message failed for no fault of its own and nothing else would have fared better."""
    return code is not None and handling(code).error_class is ErrorClass.ACCOUNT


def retry_after(tries: int) -> timedelta:
    """How long to wait after ``tries`` tries: 4^X seconds from X = 0, at most an hour."""
    return timedelta(seconds=min(4 ** max(tries - 1, 0), 3600))
