"""Whether a message that would show its invoice's online link asks for it, waits for it, or leaves without."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from notifier.catalogue import LINK_SUFFIX, Catalogue
from notifier.model import Intent, Snapshot
from notifier.ports import Rejected
from notifier.provider_errors import handling_of_linked
from notifier.rendering import linked_form, template_name
from shared.policy import TenantPolicy

LINK_PATIENCE = timedelta(minutes=5)
"""How long a message may wait for its link: less than a snapshot stays fresh, so that waiting costs no other look."""


class LinkStep(StrEnum):
    ASK = "ask"
    WAIT = "wait"
    GO = "go"


def lacks_link(
    intent: Intent, snapshot: Snapshot, rules: TenantPolicy, catalogue: Catalogue, name: str | None = None
) -> bool:
    """Whether the message would show a link and none is known; ``name`` is its template, else its stage's."""
    plain = name or template_name(intent.kind, intent.stage, rules)
    shows = plain is not None and linked_form(plain, snapshot.contact, rules, catalogue) is not None
    return shows and snapshot.invoice.online_url is None


def link_step(
    intent: Intent,
    snapshot: Snapshot,
    rules: TenantPolicy,
    catalogue: Catalogue,
    now: datetime,
    name: str | None = None,
) -> LinkStep:
    """What comes next for a message that may leave now. A request in vain is not made again while it is recent."""
    if not lacks_link(intent, snapshot, rules, catalogue, name) or snapshot.invoice.no_link_reason:
        return LinkStep.GO
    if intent.link_until is None or now >= intent.link_until + LINK_PATIENCE:
        return LinkStep.ASK
    return LinkStep.WAIT if now < intent.link_until else LinkStep.GO


def why_without_link(
    intent: Intent, snapshot: Snapshot, rules: TenantPolicy, catalogue: Catalogue, name: str | None = None
) -> str | None:
    """The rule under which a message leaves in its form without link although the policy asks for one."""
    if not lacks_link(intent, snapshot, rules, catalogue, name):
        return None
    return f"without_link_{snapshot.invoice.no_link_reason or 'unanswered'}"


def refused_with_link(outcome: Rejected, template: str) -> Rejected | None:
    """The refusal as one of the form with a link alone: its message may leave at once without. None for any other."""
    if not template.endswith(LINK_SUFFIX):
        return None
    found = handling_of_linked(outcome.reason)
    return replace(outcome, handling=found) if found else None
