"""Whether webhooks have gone silent: a pure rule across all tenants, because Xero's subscription is one for all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from fetcher.versions import Version
from shared.contracts.xero import WebhookSilentV1

FEWEST_CHANGES = 5
"""In a row, none of them told. Where one webhook in a hundred is lost, that is one time in ten thousand million."""
SHORTEST_SPREAD = timedelta(minutes=10)
"""From the first of them to the last: one act in bulk is no evidence."""
RECENT = timedelta(days=7)
"""A busy installation gathers the evidence in one poll; a quiet one is given a week for it."""
REPEATED_EVERY = timedelta(hours=24)
HOLDS = timedelta(hours=25)
"""Longer than until it is repeated, so that nothing slackens in between."""
REMEDY = (
    "See that ingress can be reached from outside. Then open the Xero developer portal, your app, Webhooks, "
    "see that Invoices is ticked and press Send intent to receive."
)


@dataclass(frozen=True)
class Silence:
    """One that was announced. ``since`` is the first change that no webhook told of, in Xero's time."""

    since: datetime
    announced_at: datetime


class Step(Enum):
    NOTHING = "nothing"
    ANNOUNCE = "announce"
    END = "end"


@dataclass(frozen=True)
class Verdict:
    """What to do; ``since`` is given with ANNOUNCE."""

    step: Step
    since: datetime | None = None


def verdict(missed: Sequence[Version], heard_at: datetime | None, standing: Silence | None, now: datetime) -> Verdict:
    """Judge by the versions that polls alone found and by when the last webhook about an invoice came.

    One webhook heard makes everything before it mere loss, and ends a silence that stands.
    """
    if standing is not None:
        if heard_at is not None and heard_at > standing.since:
            return Verdict(Step.END)
        due = now - standing.announced_at >= REPEATED_EVERY
        return Verdict(Step.ANNOUNCE, standing.since) if due else Verdict(Step.NOTHING)
    changes = sorted(
        version.updated_at
        for version in missed
        if version.updated_at > now - RECENT and (heard_at is None or version.updated_at > heard_at)
    )
    if len(changes) < FEWEST_CHANGES or changes[-1] - changes[0] < SHORTEST_SPREAD:
        return Verdict(Step.NOTHING)
    return Verdict(Step.ANNOUNCE, changes[0])


def announcement(
    missed: Sequence[Version], heard_at: datetime | None, since: datetime, now: datetime
) -> WebhookSilentV1:
    """What is told of a silence since ``since``."""
    changes = [version for version in missed if version.updated_at >= since]
    return WebhookSilentV1(
        since=since,
        heard_at=heard_at,
        changes=len(changes),
        tenants=len({version.tenant_id for version in changes}),
        announced_at=now,
        until=now + HOLDS,
        remedy=REMEDY,
    )
