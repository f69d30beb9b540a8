"""Every link to RabbitMQ, Redis, Xero, WhatsApp and PostgreSQL, broken in each way that a network breaks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from random import Random

from chaos.faults.fault import Fault, Missed
from chaos.proxy import Toxic
from chaos.scene import Scene
from chaos.until import NotInTime, until

_WORDS = {
    Toxic.BLACK_HOLE: "black-hole",
    Toxic.RESET: "reset",
    Toxic.CUT: "cut",
    Toxic.SLOW: "slow",
    Toxic.ANSWERS_LOST: "answers-lost",
}
_SHORT = {
    ("rabbitmq", Toxic.ANSWERS_LOST),
    ("xero", Toxic.CUT),
    ("redis", Toxic.RESET),
    ("whatsapp", Toxic.RESET),
    ("postgresql", Toxic.RESET),
    ("postgresql", Toxic.ANSWERS_LOST),
}
_SECONDS = 12.0
_SILENCE = 90.0
_LONGEST = {Toxic.BLACK_HOLE: 45.0, Toxic.ANSWERS_LOST: 30.0}
"""RabbitMQ notices after twenty seconds that nothing comes any more, a service after thirty-three."""
_STATEMENT = 45.0
"""A service waits half a minute for PostgreSQL's answer."""


@asynccontextmanager
async def broken(scene: Scene, dice: Random, *, pattern: str, toxic: Toxic) -> AsyncIterator[None]:
    """All links whose name matches."""
    links = scene.links.matching(pattern)
    before = sum(link.struck for link in links)
    if pattern.endswith((">xero", ">postgresql")):
        await scene.sandbox.expire_tokens()
    try:
        await scene.links.poison(links, toxic)
        yield
        # The fetcher may be silent for a minute, where it knows no longer what it has called.
        with suppress(NotInTime):
            await until(lambda: sum(link.struck for link in links) > before, _SILENCE, pattern)
    finally:
        await scene.links.poison(links, Toxic.NONE)
    if sum(link.struck for link in links) == before:
        raise Missed(f"nothing passed {pattern}")


def _seconds(server: str, toxic: Toxic) -> float:
    if server == "postgresql" and toxic in _LONGEST:
        return _STATEMENT
    return _LONGEST.get(toxic, _SECONDS) if server == "rabbitmq" else _SECONDS


FAULTS = [
    Fault(
        f"{server}-{word}",
        partial(broken, pattern=f"*>{server}", toxic=toxic),
        _seconds(server, toxic),
        loses_answers=server in {"xero", "postgresql"},
        lane="links",
        short=(server, toxic) in _SHORT,
        database="postgresql" if server == "postgresql" else "",
    )
    for server in ("rabbitmq", "redis", "xero", "whatsapp", "postgresql")
    for toxic, word in _WORDS.items()
]
