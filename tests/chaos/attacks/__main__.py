"""``python -m chaos.attacks``: reads one order from standard input, plays it, and writes what came of it as JSON."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping

import uvloop

from chaos.attacks.deep import bombs, deep
from chaos.attacks.forged import forged
from chaos.attacks.huge import huge
from chaos.attacks.routes import routes
from chaos.attacks.slow import slow
from chaos.attacks.target import Target, target

ATTACKS: Mapping[str, Callable[[Target], Awaitable[None]]] = {
    attack.__name__: attack for attack in (forged, huge, slow, deep, bombs, routes)
}


def main() -> None:
    order = json.load(sys.stdin)
    attack = ATTACKS[order.pop("attack")]
    aim = target(**order)
    uvloop.run(_play(attack, aim))
    json.dump({way: tally.row() for way, tally in aim.tallies.items()}, sys.stdout)


async def _play(attack: Callable[[Target], Awaitable[None]], aim: Target) -> None:
    await asyncio.gather(attack(aim))


if __name__ == "__main__":
    main()
