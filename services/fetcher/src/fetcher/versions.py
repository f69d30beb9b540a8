"""Which invoice versions a webhook led to, and which a poll alone has found: pure decisions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

LONGEST_PAUSE = timedelta(hours=2, minutes=30)
"""Between two polls of a tenant; every second hour's, where a day runs short, lie closer. After a longer one (a
disconnection, an outage, a spent day) webhooks were not sent or lie in queues: what such a poll finds says nothing of
them."""
SETTLED_AFTER = timedelta(minutes=20)
"""What a poll found alone may still be told by its webhook for this long: Xero tries again every 15 minutes."""
_SAME_CHANGE = timedelta(minutes=1)
"""By how much a webhook's own time may lie before that of the change it tells of."""


@dataclass(frozen=True)
class Version:
    """One state of one invoice; ``updated_at`` is Xero's ``UpdatedDateUTC``."""

    tenant_id: str
    invoice_id: str
    updated_at: datetime


@dataclass(frozen=True)
class Heard:
    """What webhooks have led to: versions ``read`` because of one, and of each invoice when one last ``told`` of it."""

    read: frozenset[Version] = frozenset()
    told: Mapping[tuple[str, str], datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Account:
    """A tenant's: what changed before ``opened_at`` (Xero's time) may have been heard without our knowing."""

    opened_at: datetime
    polled_at: datetime


def unheard(versions: Iterable[Version], heard: Heard) -> list[Version]:
    """Those that no webhook led to, nor will: one that came and waits to be worked off counts as heard."""
    return [version for version in versions if version not in heard.read and not _told(version, heard)]


def judged_from(account: Account | None, now: datetime, *, catching_up: bool) -> datetime | None:
    """From which change on a poll that starts now is evidence; None for one that is none.

    That is a tenant's first, the first after Redis was emptied, one that catches up, and one after a long pause.
    """
    if catching_up or account is None or now - account.polled_at > LONGEST_PAUSE:
        return None
    return account.opened_at


def _told(version: Version, heard: Heard) -> bool:
    told_at = heard.told.get((version.tenant_id, version.invoice_id))
    return told_at is not None and told_at + _SAME_CHANGE >= version.updated_at
