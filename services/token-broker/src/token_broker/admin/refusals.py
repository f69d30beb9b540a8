"""Every way in which an operator's command can end without having done what it was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import PermanentError


class Refusal(StrEnum):
    UNKNOWN_TENANT = "unknown_tenant"
    ALREADY_LOST = "already_lost"
    ALREADY_REVOKED = "already_revoked"
    SEVERAL = "several"
    STILL_USED = "still_used"
    BUSY = "busy"
    CHANGED = "changed"
    XERO_UNAVAILABLE = "xero_unavailable"
    XERO_SILENT = "xero_silent"
    OUT_OF_ORDER = "out_of_order"
    UNREADABLE_RECORD = "unreadable_record"
    UNREADABLE_CALL = "unreadable_call"


@dataclass(frozen=True)
class Affected:
    """An organisation that a command ends, or would end."""

    tenant_id: str
    tenant_name: str


class CommandRefused(PermanentError):  # noqa: N818 - states the outcome
    """``text`` is one line for the operator; ``organisations`` are those that the command would end."""

    def __init__(self, refusal: Refusal, text: str, organisations: Sequence[Affected] = ()) -> None:
        super().__init__(refusal, text)
        self.refusal = refusal
        self.text = text
        self.organisations = tuple(organisations)
