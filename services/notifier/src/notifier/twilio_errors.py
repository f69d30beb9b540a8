"""What Twilio's error codes mean for the sender, as data.

Those from 63000 on are of its WhatsApp channel and come by status callback as well as in an answer.
"""

from collections.abc import Mapping
from datetime import timedelta

from notifier.whatsapp_errors import ACCOUNT_PAUSE, RECATEGORISED, Breaker, ErrorClass, Handling, Scope

_SOON = timedelta(seconds=2)
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


def _account(remedy: str, scope: Scope = Scope.ACCOUNT) -> Handling:
    return Handling(ErrorClass.ACCOUNT, breaker=Breaker(scope, remedy))


def _template(remedy: str) -> Handling:
    return Handling(ErrorClass.TEMPLATE, breaker=Breaker(Scope.TEMPLATE, remedy, timedelta(hours=3)))


def _away(probe_after: timedelta, scope: Scope) -> Handling:
    return Handling(ErrorClass.RETRY, breaker=Breaker(scope, None, probe_after))


NOT_REACHED = Handling(
    ErrorClass.RETRY,
    breaker=Breaker(
        Scope.ACCOUNT, "if it lasts: is api.twilio.com reachable from here?", _SOON, patience=ACCOUNT_PAUSE
    ),
)
"""The connection was never made."""
_RECIPIENT = Handling(ErrorClass.RECIPIENT)
_OURS = Handling(
    ErrorClass.OURS,
    breaker=Breaker(Scope.TENANT, "Twilio finds fault with this organisation's messages: see the details", _HOUR, 5),
)

_CREDENTIALS = _account("put right the sender's secret in DUEBELL_SENDER_SECRETS and restart the notifier")
_SUSPENDED = _account("Twilio or Meta has suspended the account: see Twilio's console")
_UNPAID = _account("settle the account's payment method with Twilio, then make stops ARGS=--probe")
_NUMBER = _account("see to the number among the WhatsApp senders in Twilio's console", Scope.NUMBER)
_TOO_FAST = Handling(
    ErrorClass.ACCOUNT,
    breaker=Breaker(Scope.NUMBER, "if it lasts: lower messages_per_second or recipients_per_day", _MINUTE),
)
"""The account's class, because it comes after the message was accepted: it waits and is sent again."""
_CONTENT = _template("see the template in Twilio's console: does it exist, and is it approved for WhatsApp?")

HANDLINGS: Mapping[int, Handling] = {
    **dict.fromkeys([20003, 20008], _CREDENTIALS),
    **dict.fromkeys([20005, 20006, 30002, 63002, 63051, 63112], _SUSPENDED),
    63020: _UNPAID,
    **dict.fromkeys([21212, 21606, 21659, 21660, 63001, 63007, 63008, 63010, 63022], _NUMBER),
    20429: _away(timedelta(seconds=30), Scope.ACCOUNT),
    21611: _away(_MINUTE, Scope.NUMBER),
    **dict.fromkeys([63017, 63018, 63038], _TOO_FAST),
    **dict.fromkeys([63005, 63012, 63023, 63025, 63029], Handling(ErrorClass.RETRY, tries=3)),
    **dict.fromkeys([21655, 63016, 63027, 63040, 63041, 63042], _CONTENT),
    21610: Handling(ErrorClass.RECIPIENT, opted_out=True),
    **dict.fromkeys([21211, 21214, 21217, 21408, 21614, 21635, 63031], _RECIPIENT),
    **dict.fromkeys([30003, 30004, 30005, 30006, 63003, 63014, 63015, 63024, 63032, 63033], _RECIPIENT),
    63049: Handling(ErrorClass.RECIPIENT, breaker=RECATEGORISED),
    **dict.fromkeys([20001, 20404, 21602, 21604, 21609, 21617, 21619, 21656, 63013, 63019, 63021, 63028, 63030], _OURS),
}


def is_listed(code: int) -> bool:
    return code in HANDLINGS


def handling(code: int) -> Handling:
    """How to go on after ``code``; one that is not listed is never retried."""
    return HANDLINGS.get(code, _OURS)
