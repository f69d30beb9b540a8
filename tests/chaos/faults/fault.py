"""What a fault is: something that takes hold of a scene, lasts, and lets go."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random

from chaos.scene import Scene


class Missed(Exception):  # noqa: N818 - what happened
    """The fault did not take hold: nothing was proven."""


Inflict = Callable[[Scene, Random], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """Entering ``inflict`` breaks something, leaving it mends it; whoever waits for recovery is the runner.

    Attributes:
        seconds: how long it lasts; 0 for a process that is killed.
        kills: processes that SIGKILL ended.
        loses_answers: an answer of the identity service may never arrive, so that showing a token again is right and
            the provider has to be the lenient one.
        shuts_door: ingress itself cannot answer.
        moves_clock: a service's time of day is wrong, and with it what it writes down.
        lingers: for so many seconds RabbitMQ itself may keep back what it dead-letters, or what waits for its next try.
        silences: no call to Xero for a minute afterwards, as nobody knows which were made before.
        back_within: so many seconds after it every process must be ready; 0: however long it takes.
        lane: in the short run those of different lanes go on beside each other.
        small_disk: the databases must lie on a disk that can be filled.
        cluster: it needs three RabbitMQ nodes; no other run than its own has them.
        short: it has a place in the short run.
        at_point: a process dies at a named commit boundary.
        database: it is a fault of this kind of database alone.
        service: all that it takes down is this one; its lane waits for nobody else.
    """

    name: str
    inflict: Inflict
    seconds: float = 0.0
    kills: int = 0
    loses_answers: bool = False
    shuts_door: bool = False
    moves_clock: bool = False
    lingers: float = 0.0
    silences: bool = False
    back_within: float = 0.0
    lane: str = "processes"
    small_disk: bool = False
    cluster: bool = False
    short: bool = False
    at_point: bool = False
    database: str = ""
    service: str = ""
