"""Traps at named points of a service: armed by a file, each ends its own process with SIGKILL when it is reached.

Loaded into the service's process by :mod:`chaos.inside.sitecustomize`; the product knows nothing of it.
"""

import importlib
import inspect
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

IDS = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{32}\b|v1\.[\w-]{24}|poison-\d+")
"""What tells an invoice, an organisation, a message of the ledger or an attempt; nothing that tells a person."""
MARKED = "marked"
"""The file with the ids of messages, one a line, whose handling always ends the process."""
KILLED = "killed"
"""The file with a line for each time that one of them did."""

Function = Callable[..., Any]
Wrap = Callable[[Any, "Trap"], Function]
"""Makes of a function one that does the same and reaches the trap."""


class Moment(Enum):
    BEFORE = auto()
    """The call is about to begin."""
    AFTER = auto()
    """It has returned; it did not raise."""
    HANDED = auto()
    """Of a publish: RabbitMQ's socket has it, no confirm has come."""
    CONFIRMING = auto()
    """Of a publish: the confirm is here, who waits for it has not been told."""
    WRITTEN = auto()
    """Of an HTTP request: it is written to the end."""
    ANSWERING = auto()
    """Of an HTTP request: the answer's head is here."""
    MARKED = auto()
    """Before a call that is about a message which is :data:`MARKED`, every time."""


@dataclass(frozen=True)
class Point:
    """``target`` is ``module:Class.method`` or ``module:function``.

    Only a call counts whose arguments and result, as text, match ``about``.
    """

    service: str
    name: str
    target: str
    moment: Moment
    about: str = ""
    says: str = ""

    @property
    def title(self) -> str:
        return f"{self.service}-{self.name}"


@dataclass(frozen=True)
class Resolved:
    """Where a function stands, so that another can be put in its place."""

    owner: Any
    attribute: str
    function: Function = field(repr=False)


def resolve(target: str) -> Resolved:
    """Raises ImportError or AttributeError where there is no such function any more."""
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *holders, attribute = path.split(".")
    for holder in holders:
        owner = getattr(owner, holder)
    # What a class only inherits would be changed for others as well.
    function = vars(owner).get(attribute)
    if not inspect.isfunction(function):
        raise AttributeError(f"{target} is no function of its own")
    return Resolved(owner, attribute, function)


def install(points: Iterable[Point], folder: Path, wrapper: Callable[[Moment], Wrap]) -> None:
    """Put every point's trap in its place; nothing happens there until :func:`arm`."""
    for point in points:
        found = resolve(point.target)
        setattr(found.owner, found.attribute, wrapper(point.moment)(found.function, Trap(point, folder)))


def arm(folder: Path, point: Point) -> None:
    """The next call that comes to ``point`` ends its process."""
    folder.mkdir(parents=True, exist_ok=True)
    struck(folder, point).unlink(missing_ok=True)
    _armed(folder, point).touch()


def disarm(folder: Path, point: Point) -> None:
    _armed(folder, point).unlink(missing_ok=True)


def struck(folder: Path, point: Point) -> Path:
    """Written whole just before the process ends: ``at``, its ``pid``, and the ``ids`` that it had in hand."""
    return folder / f"{point.title}.struck"


def _armed(folder: Path, point: Point) -> Path:
    return folder / f"{point.title}.armed"


class Trap:
    """One point's."""

    def __init__(self, point: Point, folder: Path) -> None:
        self.point = point
        self._folder = folder
        self._armed = str(_armed(folder, point))
        self._about = re.compile(point.about)

    def is_armed(self) -> bool:
        return os.path.exists(self._armed)  # noqa: PTH110 - at every call

    def reach(self, *told: Any) -> None:
        """End the process, if this is armed and the call is one that counts. Who takes the file away is struck."""
        if not self.is_armed():
            return
        text = "\n".join(map(_text, told))
        if not self._about.search(text):
            return
        try:
            os.unlink(self._armed)  # noqa: PTH108
        except FileNotFoundError:
            return
        place = struck(self._folder, self.point)
        draft = place.with_suffix(".draft")
        found = {"at": time.time(), "pid": os.getpid(), "ids": sorted(set(IDS.findall(text)))}
        draft.write_text(json.dumps(found), encoding="utf-8")
        draft.rename(place)
        os.kill(os.getpid(), signal.SIGKILL)

    def reach_marked(self, *told: Any) -> None:
        """End the process, each time that the call is about a message that is marked."""
        marked = self._folder / MARKED
        if not marked.exists():
            return
        ids = set(IDS.findall("\n".join(map(_text, told))))
        for mark in marked.read_text(encoding="utf-8").split():
            if mark in ids:
                with (self._folder / KILLED).open("a", encoding="utf-8") as file:
                    file.write(f"{mark} {time.time()}\n")
                os.kill(os.getpid(), signal.SIGKILL)


def _text(value: Any) -> str:
    """What can be seen of it; of an HTTP request and of a delivery in hand, the body as well."""
    for body in (getattr(value, "_content", None), getattr(getattr(value, "msg", None), "body", None)):
        if isinstance(body, bytes):
            return f"{value!r} {body.decode('utf-8', 'replace')}"
    return "\n".join(map(_text, value)) if isinstance(value, tuple) and type(value) is tuple else repr(value)
