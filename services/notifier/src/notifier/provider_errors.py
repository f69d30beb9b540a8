"""What the error codes of every provider mean, and by which word a reason tells whose code it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from notifier import twilio_errors, whatsapp_errors
from notifier.whatsapp_errors import (
    NOT_REACHED,
    PARAMETERS,
    RECATEGORISED,
    RECATEGORISED_REASON,
    UNFIT,
    ErrorClass,
    Handling,
    Scope,
)

META = "meta"
TWILIO = "twilio"


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """``word`` begins every reason with one of its codes; ``not_reached`` is how a connection never made is handled."""

    word: str
    handling: Callable[[int], Handling]
    is_listed: Callable[[int], bool]
    not_reached: Handling


TABLES: Mapping[str, ErrorTable] = {
    META: ErrorTable("whatsapp", whatsapp_errors.handling, whatsapp_errors.is_listed, NOT_REACHED),
    TWILIO: ErrorTable("twilio", twilio_errors.handling, twilio_errors.is_listed, twilio_errors.NOT_REACHED),
}


def handling(code: int, provider: str = META) -> Handling:
    """How to go on after the provider's ``code``; one that is not listed is never retried."""
    return TABLES[provider].handling(code)


def handling_of_linked(reason: str) -> Handling | None:
    """How to go on when a form that shows a link was refused, and the form without may be taken; None when it may not.

    Such a refusal says nothing of the message itself: it stops the one form and burns no try.
    """
    table, code = _table_and_code(reason)
    if code is None:
        return None
    found = UNFIT if _does_not_fit(table, code) else table.handling(code)
    return found if found.error_class is ErrorClass.TEMPLATE else None


def reason_of(code: int | None, provider: str = META) -> str:
    """``whatsapp_190``; without a code the provider gave none."""
    return f"{TABLES[provider].word}_{code or 'unspecified'}"


def is_held(code: int | None, provider: str = META) -> bool:
    """Whether the message failed for no fault of its own: it waits with all that the breaker stops."""
    return code is not None and handling(code, provider).error_class in {ErrorClass.ACCOUNT, ErrorClass.TEMPLATE}


def is_listed(reason: str) -> bool:
    """Whether the code in the reason is one that its provider's table knows; true where there is none."""
    table, code = _table_and_code(reason)
    return code is None or table.is_listed(code)


def remedy_of(reason: str, scope: Scope | None = None) -> str | None:
    """What a person is to do about a breaker of ``scope`` that opened for ``reason``."""
    if reason == RECATEGORISED_REASON:
        return RECATEGORISED.remedy
    table, code = _table_and_code(reason)
    if scope is Scope.TEMPLATE and code is not None and _does_not_fit(table, code):
        return UNFIT.breaker.remedy if UNFIT.breaker else None
    found = (table.not_reached if code is None else table.handling(code)).breaker
    return found.remedy if found else None


def _does_not_fit(table: ErrorTable, code: int) -> bool:
    return table is TABLES[META] and code in PARAMETERS


def _table_and_code(reason: str) -> tuple[ErrorTable, int | None]:
    for table in TABLES.values():
        word, _, rest = reason.partition("_")
        if word == table.word:
            return table, int(rest) if rest.isdecimal() else None
    return TABLES[META], None
