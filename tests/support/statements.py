"""A contact with several overdue invoices, as a scan tells of them, and what its customer reads."""

from datetime import timedelta
from typing import Any

from notifier.gathering import GATHERING
from shared.contracts.messages import MessageChangedV1
from shared.policy import Policy
from support.builders import NOON
from support.notifier import World, status_update, tenant_policy

HOURS = {"start": "00:00", "end": "24:00", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "holidays": False}


def grouped(**rules: Any) -> Policy:
    return tenant_policy(group_by_contact=True, contact_hours=HOURS, **rules)


def overdue(number: int, days: int = 7, **changes: Any) -> dict[str, Any]:
    """An invoice of ``number`` hundred; the same whenever it is read."""
    fields = {"amount_due": number * 100, "due_on": NOON.date() - timedelta(days=days), **changes}
    return {"invoice_id": f"i{number}", "number": f"INV-{number}", **fields}


async def gathered(notifier: World, *invoices: dict[str, Any]) -> None:
    """A scan tells of them one after another, their time passes, and the look that they ask for is answered."""
    for invoice in invoices:
        await notifier.take_in(invoice=invoice)
        await notifier.sender.run_once()
        notifier.clock.forward(seconds=20)
    assert notifier.provider.posts == []
    notifier.clock.now = NOON + GATHERING + timedelta(seconds=1)
    await notifier.sender.run_once()
    assert notifier.provider.posts == []
    for invoice in invoices:
        await notifier.look_answered(invoice=invoice)


def said(notifier: World) -> list[dict[str, str]]:
    return [dict(message.parameters) for message, _ in notifier.provider.posts]


def templates(notifier: World) -> list[str]:
    return [message.template for message, _ in notifier.provider.posts]


async def tell(notifier: World, status: str, post: int = 0, **changes: Any) -> list[MessageChangedV1]:
    reference = notifier.provider.posts[post][1]
    return list(await notifier.learn(status_update(status, reference, f"wamid.{reference}", **changes)))


THREE = (overdue(1), overdue(2, 30), overdue(3, 15))


async def gathered_with_clock(notifier: World, *invoices: dict[str, Any]) -> None:
    for invoice in invoices:
        await notifier.take_in(invoice=invoice)
    await notifier.sender.run_once()
    notifier.clock.forward(seconds=GATHERING.total_seconds() + 1)
    await notifier.sender.run_once()
    for invoice in invoices:
        await notifier.look_answered(invoice=invoice)
