"""What Meta's error codes mean for the sender, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class ErrorClass(StrEnum):
    RETRY = "retry"
    """Not sent; may be sent soon."""
    ACCOUNT = "account"
    """Nothing can be sent until somebody mends the account."""
    TEMPLATE = "template"
    """The template cannot be used now."""
    RECIPIENT = "recipient"
    """This person cannot be reached."""
    OURS = "ours"
    """The request or the configuration is wrong."""
    OTHER = "other"
    """Nothing that a sender can act on."""


_PLAIN_FAULTS = frozenset({ErrorClass.RECIPIENT, ErrorClass.OURS})
"""Faults of the one message itself."""


class Scope(StrEnum):
    """What a breaker stops."""

    ACCOUNT = "account"
    """Everything that is sent with one account: its token, its bill, its lock."""
    NUMBER = "number"
    """Everything that one sending number sends."""
    TENANT = "tenant"
    """One organisation's messages."""
    TEMPLATE = "template"
    """Every message of one template."""


ACCOUNT_PAUSE = timedelta(minutes=5)
"""How long all messages wait after an account fault before one of them tries again."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """What opens after an error: all of ``scope`` waits and burns no try; after ``probe_after`` one message tries.

    ``remedy`` tells a person what to do; None where nothing is to be done but wait. ``in_a_row`` is how many messages
    must have failed one after the other for faults of their own.
    """

    scope: Scope
    remedy: str | None = None
    probe_after: timedelta = ACCOUNT_PAUSE
    in_a_row: int = 1


@dataclass(frozen=True, slots=True)
class Handling:
    """``tries`` is how often one message may be tried in all, ``breaker`` what else waits.

    ``opted_out``: the provider knows that this person wants no messages.
    """

    error_class: ErrorClass
    tries: int = 1
    breaker: Breaker | None = None
    free: bool = False
    opted_out: bool = False

    @property
    def burns(self) -> bool:
        """Whether a try counts: not where the message only met what stops all others too, nor where it is ``free``."""
        return not self.free and (self.breaker is None or self.error_class in _PLAIN_FAULTS)


_SOON = timedelta(seconds=2)
_MINUTE = timedelta(minutes=1)
TEMPLATE_PAUSE = timedelta(hours=3)
"""The shortest pause that Meta gives a template."""
_DAY = timedelta(days=1)


def _account(remedy: str, scope: Scope = Scope.ACCOUNT) -> Handling:
    return Handling(ErrorClass.ACCOUNT, breaker=Breaker(scope, remedy))


def _template(remedy: str, probe_after: timedelta = TEMPLATE_PAUSE) -> Handling:
    return Handling(ErrorClass.TEMPLATE, breaker=Breaker(Scope.TEMPLATE, remedy, probe_after))


def _away(probe_after: timedelta, scope: Scope = Scope.NUMBER) -> Handling:
    return Handling(ErrorClass.RETRY, breaker=Breaker(scope, None, probe_after))


NOT_REACHED = Handling(
    ErrorClass.RETRY, breaker=Breaker(Scope.ACCOUNT, "if it lasts: is graph.facebook.com reachable from here?", _SOON)
)
"""The connection was never made."""
CLAIM_TOO_OLD = Handling(ErrorClass.RETRY, free=True)
"""Nothing was posted: between the claim and the POST more time passed than a claim is good for."""
RECATEGORISED = Breaker(
    Scope.TEMPLATE, "WhatsApp bills this template as marketing: reword it, or ask for a review of its category", _DAY
)
"""What a status that bills a message as marketing opens."""
RECATEGORISED_REASON = "billed_as_marketing"

_RETRY = Handling(ErrorClass.RETRY, tries=6)
_RETRY_FEW = Handling(ErrorClass.RETRY, tries=3)
_RECIPIENT = Handling(ErrorClass.RECIPIENT)
_AS_MARKETING = Handling(ErrorClass.RECIPIENT, breaker=RECATEGORISED)
_OURS = Handling(
    ErrorClass.OURS,
    breaker=Breaker(
        Scope.TENANT, "WhatsApp finds fault with this organisation's messages: see the details", timedelta(hours=1), 5
    ),
)

_TOKEN = _account("renew DUEBELL_WHATSAPP_ACCESS_TOKEN and restart the notifier")
_RIGHTS = _account("give the system user the right to send with this business account")
_LOCKED = _account("WhatsApp has locked the account: see Account quality in Meta Business Suite")
_UNPAID = _account("settle the business account's payment method, then make stops ARGS=--probe")
_NUMBER_GONE = _account("see to the number in WhatsApp Manager: is it registered, approved, not deleted?", Scope.NUMBER)
_SPAM = _account("the number is restricted for spam: see its quality in WhatsApp Manager", Scope.NUMBER)

HANDLINGS: Mapping[int, Handling] = {
    **dict.fromkeys([0, 190], _TOKEN),
    **dict.fromkeys([3, 10, 131005, *range(200, 300)], _RIGHTS),
    **dict.fromkeys([368, 131031, 131064], _LOCKED),
    **dict.fromkeys([131042, 134011], _UNPAID),
    **dict.fromkeys([33, 131037, 131045, *range(133000, 133017)], _NUMBER_GONE),
    131048: _SPAM,
    **dict.fromkeys([2, 131016, 131057, 133004], _away(_MINUTE)),
    **dict.fromkeys([4, 80007], _away(timedelta(seconds=30), Scope.ACCOUNT)),
    130429: _away(timedelta(seconds=30)),
    131056: _RETRY,
    **dict.fromkeys([1, 131000], _RETRY_FEW),
    131053: Handling(ErrorClass.RETRY, tries=2),
    132015: _template("WhatsApp has paused this template for its quality: read it again; it goes on by itself"),
    132001: _template("the template does not exist in this language, or is not approved: see templates in the account"),
    132007: _template("WhatsApp refuses the template's content: reword it"),
    132016: _template("the template is disabled for good: give it a new name and wording"),
    131063: _template("WhatsApp holds this template for marketing: reword it, or ask for a review", _DAY),
    **dict.fromkeys([130472, 131049, 131050], _AS_MARKETING),
    **dict.fromkeys([130403, 130497, 131021, 131026], _RECIPIENT),
    **dict.fromkeys([100, 131008, 131009, 131030, 131047, 131051, 131062, 135000], _OURS),
    **dict.fromkeys([132000, 132005, 132012, 132018, 132068, 132069], _OURS),
    131052: Handling(ErrorClass.OTHER),
}

PARAMETERS = frozenset({132000, 132005, 132012, 132018, 132068, 132069})
"""What a message put into its template does not fit it."""
UNFIT = _template("WhatsApp refuses what this template is filled with: make templates-status, then templates-push")

_UNLISTED = _OURS


def is_listed(code: int) -> bool:
    return code in HANDLINGS


def handling(code: int) -> Handling:
    """How to go on after ``code``; one that is not listed is never retried."""
    return HANDLINGS.get(code, _UNLISTED)


def retry_after(tries: int) -> timedelta:
    """How long to wait after ``tries`` tries: 4^X seconds from X = 0, at most an hour."""
    return timedelta(seconds=min(4 ** max(tries - 1, 0), 3600))
