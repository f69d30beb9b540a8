"""What floods of some tenants cost the others: their waits alone and beside them; the sandbox counts calls."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from bench.running import running
from bench.tables import print_row, quantile
from bench.town import Town, kinds_of, visit
from bench.webhooks import KEY, MOST_EVENTS
from deploy.stack import Stack

FLOOD = 5000
QUIET = 20
EVERY = 1.0
"""Seconds between two events of quiet tenants; far below what one of them may ask."""
ALONE = 60
"""Events of quiet tenants before the flood; as many as come beside it take part in the second measurement."""
_HEAD = ("fetchers, and what comes beside", "events", "p50 s", "p99 s", "longest", "flood took", "its calls", "refused")
_WIDTHS = (31, *map(len, _HEAD[1:]))


@dataclass(frozen=True)
class Run:
    fetchers: int
    flooding: int

    @property
    def name(self) -> str:
        floods = f"{self.flooding} floods of {FLOOD}" if self.flooding > 1 else f"a flood of {FLOOD}"
        return f"{self.fetchers}, {floods}"


RUNS = (Run(1, 1), Run(3, 1), Run(1, 2))


def measure() -> None:
    """Print the waits of quiet tenants alone and beside floods, and what these cost."""
    print_row(_WIDTHS, _HEAD)
    more, breaches = 0.0, 0
    for run in RUNS:
        services = {"ingress": 1, "token-broker": 1, "fetcher": run.fetchers}
        with running(services, {"DUEBELL_XERO_WEBHOOK_KEYS": KEY}) as stack:
            added, broken = asyncio.run(_measure(run, stack))
        more, breaches = max(more, added), breaches + broken
    print(
        f"\nBeside a flood 99 of 100 events of a quiet tenant wait at most {more:.2f} s longer than without; "
        f"breaches of\nXero's limits by anyone: {breaches}."
    )


async def _measure(run: Run, stack: Stack) -> tuple[float, int]:
    """By how many seconds the flood raised p99, and the breaches."""
    async with visit(stack) as town:
        flooding, quiet = await town.connected(run.flooding), await town.connected(QUIET)
        alone = await _waits(town, quiet, ALONE)
        books = [[(tenant, invoice) for invoice in await town.invoices(tenant, FLOOD)] for tenant in flooding]
        seen = len(await town.calls(flooding))
        began = perf_counter()
        flood = asyncio.create_task(_flood(town, books))
        beside = await _waits(town, quiet, None, until=flood)
        took = await flood - began
        costs = kinds_of((await town.calls(flooding))[seen:])
        breaches = await town.breaches()
    print_row(_WIDTHS, [f"{run.fetchers}, nothing", *_cells(alone), "", "", ""])
    print_row(_WIDTHS, [run.name, *_cells(beside), f"{took:.0f} s", str(costs.total()), str(costs["refused"])])
    return quantile(beside, 99) - quantile(alone, 99), breaches


async def _flood(town: Town, books: Sequence[Sequence[tuple[str, str]]]) -> float:
    """All of them at once, each in webhooks of its own; when the last invoice was published."""
    await asyncio.gather(*(town.announce_all(book, MOST_EVENTS) for book in books))
    return await town.arrivals.all_of(invoice for book in books for _, invoice in book)


async def _waits(
    town: Town, tenants: Sequence[str], count: int | None, *, until: "asyncio.Task[float] | None" = None
) -> list[float]:
    """Of one event after the other, the tenants in turn: ``count`` of them, or as many as come before ``until``."""
    asked: list[asyncio.Task[float]] = []
    while len(asked) != count and not (until and until.done()):
        tenant = tenants[len(asked) % len(tenants)]
        [invoice] = await town.invoices(tenant, 1)
        asked.append(asyncio.create_task(town.wait_of(tenant, invoice)))
        if until:
            await asyncio.wait([until], timeout=EVERY)
        else:
            await asyncio.sleep(EVERY)
    return list(await asyncio.gather(*asked))


def _cells(seconds: Sequence[float]) -> list[str]:
    figures = (quantile(seconds, 50), quantile(seconds, 99), max(seconds))
    return [str(len(seconds)), *(f"{figure:.2f}" for figure in figures)]
