"""Posts that are not their sender's, on every route, over connections that are kept while the door keeps them."""

import asyncio
from collections.abc import Iterator
from itertools import cycle, islice

from chaos.attacks.forgeries import FORGERIES
from chaos.attacks.target import Due, Target
from chaos.attacks.twilio_forgeries import TWILIO_FORGERIES
from chaos.attacks.wire import NONE, Answer, Wire, request

_TALKERS = 8
_PER_CONNECTION = 50
_TWILIOS = {f"Twilio, {name}": forge for name, forge in TWILIO_FORGERIES.items()}


async def forged(target: Target) -> None:
    """``count`` of them, each way as often as any other."""
    ways = islice(cycle([*FORGERIES, *_TWILIOS]), target.count)
    async with asyncio.TaskGroup() as group:
        for _ in range(min(_TALKERS, target.count)):
            group.create_task(_talk(target, ways))


async def _talk(target: Target, ways: Iterator[str]) -> None:
    while pieces := [(way, _post(target, way)) for way in islice(ways, _PER_CONNECTION)]:
        while pieces:
            pieces = await _over_one(target, pieces)


async def _over_one(target: Target, pieces: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Over one connection, until it is closed; what is left."""
    try:
        async with Wire(target.port) as wire:
            for number, (way, data) in enumerate(pieces, start=1):
                answer = await _exchange(wire, data)
                target.tell(way, Due.REFUSAL, answer)
                if answer.closes:
                    return pieces[number:]
    except (OSError, TimeoutError):
        target.tell(pieces[0][0], Due.REFUSAL, NONE)
        return pieces[1:]
    return []


async def _exchange(wire: Wire, data: bytes) -> Answer:
    try:
        await wire.send(data)
    except OSError:
        return NONE
    return await wire.answer(10)


def _post(target: Target, way: str) -> bytes:
    if forge := _TWILIOS.get(way):
        post = forge(target.twilio, target.twilio.honest(target.dice), target.dice)
        return request("POST", post.path, post.headers, post.body)
    sender, other = target.two()
    body, headers = FORGERIES[way](sender, other, target.body(sender), target.dice)
    return request("POST", sender.path, headers, body)
