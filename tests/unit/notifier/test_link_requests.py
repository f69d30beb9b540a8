"""Links are asked for together, and none waits long for company."""

from datetime import timedelta

from notifier.link_requests import LONGEST, LinkRequests
from notifier.looks import LOOKS_AT_ONCE
from notifier.ports import Due
from support.builders import NOON


def due(number: int, tenant_id: str = "t") -> Due:
    return Due(f"intent-{number}", tenant_id, f"i{number}", f"correlation-{number}", stale=False)


def test_while_others_leave_links_are_collected() -> None:
    links = LinkRequests()
    for number in range(3):
        links.add(due(number), NOON)
    assert links.take(NOON, idle=False) == []
    [look] = links.take(NOON, idle=True)
    assert (look.request.invoice_ids, look.request.with_link) == (("i0", "i1", "i2"), True)
    assert look.correlation_id == "correlation-0"
    assert links.take(NOON + timedelta(hours=1), idle=True) == []


def test_nobody_waits_long_for_company() -> None:
    links = LinkRequests()
    links.add(due(1), NOON)
    links.add(due(2), NOON + LONGEST / 2)
    assert links.take(NOON + LONGEST / 2, idle=False) == []
    assert len(links.take(NOON + LONGEST, idle=False)) == 1


def test_enough_is_asked_for_at_once_by_organisation() -> None:
    links = LinkRequests()
    for number in range(LOOKS_AT_ONCE + 1):
        links.add(due(number), NOON)
    links.add(due(1, "another"), NOON)
    looks = links.take(NOON, idle=False)
    assert [(look.request.tenant_id, len(look.request.invoice_ids)) for look in looks] == [
        ("t", LOOKS_AT_ONCE),
        ("t", 1),
        ("another", 1),
    ]


def test_two_messages_about_one_invoice_ask_once() -> None:
    links = LinkRequests()
    links.add(due(1), NOON)
    links.add(due(1), NOON)
    [look] = links.take(NOON, idle=True)
    assert look.request.invoice_ids == ("i1",)
