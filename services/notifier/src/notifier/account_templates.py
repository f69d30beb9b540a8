"""What the WhatsApp Business Account says of a template, and whether a message may be sent with it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

USABLE_STATUS = "APPROVED"
USABLE_CATEGORY = "UTILITY"
NOT_LISTED = "MISSING"
"""Stands for a status: the account has no template of this name."""
NOT_IN_LANGUAGE = "LANGUAGE_MISSING"
"""Stands for a status: it has one, but not in this language."""

_AFTER_EVENT: Mapping[str, str] = {
    "REINSTATED": USABLE_STATUS,
    **{
        status: status
        for status in (
            USABLE_STATUS, "PENDING", "REJECTED", "PAUSED", "DISABLED", "IN_APPEAL", "ARCHIVED", "DELETED",
            "PENDING_DELETION",
        )
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TemplateState:
    """One template in one language; None stands for what the account did not say."""

    status: str | None = None
    category: str | None = None
    parameters: frozenset[str] | None = None
    quality: str | None = None


@dataclass(frozen=True, slots=True)
class AccountTemplate:
    """One template in one language as the account lists it; ``language`` with an underscore, such as ``en_GB``."""

    template_id: str
    name: str
    language: str
    state: TemplateState
    named: bool = True
    body: str | None = None
    buttons: tuple[tuple[str, str], ...] = ()
    """Type and label of each."""
    other_components: tuple[str, ...] = ()
    """Types of what is neither body nor buttons."""
    ttl_seconds: int | None = None
    rejected_reason: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.language


def why_not_usable(state: TemplateState | None, parameters: Collection[str] | None = None) -> str | None:
    """The rule that forbids sending, None when nothing speaks against it. A ``state`` of None is not known.

    ``parameters`` are those that the message would fill; without them only the template itself is looked at.
    """
    if state is None:
        return None
    if state.status is not None and state.status != USABLE_STATUS:
        return f"template_{state.status.lower()}"
    if state.category is not None and state.category != USABLE_CATEGORY:
        return f"template_{state.category.lower()}"
    if parameters is not None and state.parameters is not None and state.parameters != frozenset(parameters):
        return "template_parameters"
    return None


def status_after(event: str | None) -> str | None:
    """The status that a webhook's event leads to; None for one that does not say (flagged, locked, unarchived)."""
    return _AFTER_EVENT.get((event or "").upper())


def language_code(written: str) -> str:
    """Meta writes ``en-US`` in webhooks and ``en_US`` everywhere else."""
    return written.replace("-", "_")
