"""Whether a message that would show its invoice's online link asks for it, waits for it, or leaves without."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from notifier.catalogue import LINK_SUFFIX, Catalogue
from notifier.model import Intent, Snapshot
from notifier.ports import Rejected
from notifier.rendering import linked_template
from notifier.whatsapp_errors import handling_of_linked
from shared.policy import TenantPolicy

LINK_PATIENCE = timedelta(minutes=5)
"""How long a message may wait for its link: less than a snapshot stays fresh, so that waiting costs no other look."""


class LinkStep(StrEnum):
    ASK = "ask"
    WAIT = "wait"
    GO = "go"


def lacks_link(intent: Intent, snapshot: Snapshot, rules: TenantPolicy, catalogue: Catalogue) -> bool:
    """Whether the message would show a link and none is known."""
    shows = linked_template(intent.kind, intent.stage, snapshot.contact, rules, catalogue) is not None
    return shows and snapshot.invoice.online_url is None


def link_step(intent: Intent, snapshot: Snapshot, rules: TenantPolicy, catalogue: Catalogue, now: datetime) -> LinkStep:
    """What comes next for a message that may leave now. A request in vain is not made again while it is recent."""
    if not lacks_link(intent, snapshot, rules, catalogue) or snapshot.invoice.no_link_reason:
        return LinkStep.GO
    if intent.link_until is None or now >= intent.link_until + LINK_PATIENCE:
        return LinkStep.ASK
    return LinkStep.WAIT if now < intent.link_until else LinkStep.GO


def why_without_link(intent: Intent, snapshot: Snapshot, rules: TenantPolicy, catalogue: Catalogue) -> str | None:
    """The rule under which a message leaves in its form without link although the policy asks for one."""
    if not lacks_link(intent, snapshot, rules, catalogue):
        return None
    return f"without_link_{snapshot.invoice.no_link_reason or 'unanswered'}"


def refused_with_link(outcome: Rejected, template: str) -> Rejected | None:
    """The refusal as one of the form with a link alone: its message may leave at once without. None for any other."""
    if not template.endswith(LINK_SUFFIX) or outcome.code is None:
        return None
    found = handling_of_linked(outcome.code)
    return replace(outcome, handling=found) if found else None
