"""What bursts of changes cost in calls and seconds, and the services in memory; the sandbox counts the calls."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from bench.memory import Memory
from bench.running import running
from bench.tables import print_table
from bench.town import Town, kinds_of, visit
from bench.webhooks import KEY, MOST_EVENTS
from deploy.services import NAMES
from deploy.stack import Stack

_KINDS = ("invoices", "contacts", "organisation", "others", "refused")


@dataclass(frozen=True)
class Burst:
    """``each``: events a webhook; ``mixed``: the tenants take turns in it, else it holds one tenant's."""

    name: str
    tenants: int = 1
    changes: int = 1000
    each: int = MOST_EVENTS
    webhooks_per_second: float = 0
    mixed: bool = False


BURSTS = (
    Burst("1,000 of one, webhooks of 100"),
    Burst("1,000 of one, one by one, 100/s", each=1, webhooks_per_second=100),
    Burst("10,000 of 50, webhooks of one each", tenants=50, changes=10_000),
    Burst("10,000 of 50, mixed in webhooks", tenants=50, changes=10_000, mixed=True),
)


@dataclass(frozen=True)
class Cost:
    """``seconds``: from the first webhook to the last invoice published; ``calls`` by kind."""

    burst: Burst
    seconds: float
    calls: dict[str, int]

    @property
    def all_calls(self) -> int:
        return sum(self.calls.values())

    def row(self) -> list[str]:
        per_change = self.all_calls / self.burst.changes
        kinds = [str(self.calls.get(kind, 0)) for kind in _KINDS]
        return [self.burst.name, f"{self.seconds:.1f}", str(self.all_calls), f"{per_change:.4f}", *kinds]


def measure() -> None:
    """Print what each burst cost, and what the services took in memory before, during and after."""
    with running(dict.fromkeys(NAMES, 1), {"DUEBELL_XERO_WEBHOOK_KEYS": KEY}) as stack:
        asyncio.run(_measure(Memory(stack), stack))


async def _measure(memory: Memory, stack: Stack) -> None:
    async with visit(stack) as town:
        idle = memory.now()
        async with memory.watched() as most:
            costs = [await _cost(town, burst) for burst in BURSTS]
        after = memory.now()
        breaches = await town.breaches()
    print_table(["changes", "seconds", "calls", "a change", *_KINDS], [cost.row() for cost in costs])
    first = costs[0]
    print(
        "\nCalls of these tenants from their connecting on; every invoice has an unread contact. One call per\n"
        f"event would be {first.burst.changes / first.all_calls:.0f} times as many for the first, and take "
        f"{first.burst.changes / 60:.0f} minutes. Breaches of Xero's limits: {breaches}.\n"
    )
    memory.print_table(idle=idle, most=most, after=after)


async def _cost(town: Town, burst: Burst) -> Cost:
    tenants = await town.connected(burst.tenants)
    events = await _events(town, tenants, burst)
    began = perf_counter()
    await town.announce_all(events, burst.each, webhooks_per_second=burst.webhooks_per_second)
    ended = await town.arrivals.all_of(invoice for _, invoice in events)
    return Cost(burst, ended - began, kinds_of(await town.calls(tenants)))


async def _events(town: Town, tenants: Sequence[str], burst: Burst) -> list[tuple[str, str]]:
    """New invoices with their tenants, in the order in which Xero tells of them."""
    share = burst.changes // burst.tenants
    books = [[(tenant, invoice) for invoice in await town.invoices(tenant, share)] for tenant in tenants]
    order = zip(*books, strict=True) if burst.mixed else books
    return list(itertools.chain.from_iterable(order))
