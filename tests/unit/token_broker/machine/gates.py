"""Where a replica's effects wait: the test says when each happens, and what its caller hears of it."""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Outcome(Enum):
    """What becomes of an effect: done; not done; done but its answer lost; done and its answer late."""

    DONE = "done"
    FAILED = "failed"
    UNHEARD = "unheard"
    LATE = "late"


@dataclass(eq=False)
class Effect:
    """Something that a replica is about to do outside of itself."""

    replica: str
    label: str
    turn: "asyncio.Future[Outcome]"


class Gate(Protocol):
    async def __call__(self, label: str) -> Outcome: ...


class OpenGate:
    """For what the test does itself: at once, and well."""

    async def __call__(self, label: str) -> Outcome:
        return Outcome.DONE


class ReplicaGate:
    """One replica's; shut for good when the replica was killed, so that nothing of it reaches outside again."""

    def __init__(self, name: str, waiting: list[Effect]) -> None:
        self._name = name
        self._waiting = waiting
        self.shut = False

    async def __call__(self, label: str) -> Outcome:
        if self.shut:
            raise asyncio.CancelledError
        effect = Effect(self._name, label, asyncio.get_running_loop().create_future())
        self._waiting.append(effect)
        try:
            outcome = await effect.turn
        finally:
            if effect in self._waiting:
                self._waiting.remove(effect)
        if self.shut:
            raise asyncio.CancelledError
        return outcome

    def shut_for_good(self) -> None:
        self.shut = True
        self._waiting[:] = [effect for effect in self._waiting if effect.replica != self._name]
