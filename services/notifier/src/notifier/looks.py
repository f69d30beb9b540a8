"""Requests for fresh snapshots: how many, how often and for which invoices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from types import MappingProxyType

from shared.contracts.scans import InvoiceLookRequestedV1

LOOKS_AT_ONCE = 50
LOOKS = 5
"""Requests for a fresh snapshot that may stay unanswered; then Xero does not show the invoice any more."""
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Look:
    """A request for fresh snapshots, under the correlation id of the first message that waits for one."""

    request: InvoiceLookRequestedV1
    correlation_id: str | None


def patience(looks: int) -> timedelta:
    """How long to wait for an answer after ``looks`` others in vain: a minute at first, a day and more over all.

    A day limit or an outage of Xero must not look like an invoice that is gone.
    """
    return timedelta(minutes=6**looks)


def looks_for(
    tenant_id: str, waiting: Mapping[str, str | None], *, with_link: bool, whole: Mapping[str, str] = _NONE
) -> Sequence[Look]:
    """As few requests as hold all of ``waiting``: invoice id → the correlation id of the message that waits.

    ``whole`` names the invoice that others leave with, and follow in ``waiting``: they are asked for together.
    """
    batches: list[tuple[str, ...]] = []
    for _, invoices in groupby(waiting, key=lambda invoice_id: whole.get(invoice_id, invoice_id)):
        together = tuple(invoices)
        if batches and len(batches[-1]) + len(together) <= LOOKS_AT_ONCE:
            batches[-1] += together
        else:
            batches += [together[start : start + LOOKS_AT_ONCE] for start in range(0, len(together), LOOKS_AT_ONCE)]
    return [
        Look(
            InvoiceLookRequestedV1(
                tenant_id=tenant_id, invoice_ids=batch, reason="before_sending", with_link=with_link
            ),
            waiting[batch[0]],
        )
        for batch in batches
    ]
