"""What a webhook body is made of: the events we understand, and the pieces we keep although we do not."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import PydanticSerializationError

from shared.contracts import Event

Json = Mapping[str, Any]
MOST_FIELDS = 1000
"""Twilio sends about thirty."""

_UNREADABLE = (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError, PydanticSerializationError)
"""What odd values raise on the way: pydantic's and Unicode's errors are ValueErrors."""


@dataclass(frozen=True)
class Unreadable:
    """A signed piece that is not what its sender documents. It is kept as a dead letter, never refused."""

    body: bytes
    reason: str


@dataclass(frozen=True)
class Contents:
    """``source`` names the webhook, for the dead letters."""

    source: str
    events: tuple[Event, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


def load_object(body: bytes) -> Json | None:
    """The JSON object in ``body``, or None for anything else, however deep or broken."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def form_of(body: bytes) -> list[tuple[str, str]] | None:
    """The names and values of a form as they came, or None for anything else."""
    try:
        text = body.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        return None


def objects(value: object) -> Iterator[Json]:
    """The elements of a list; one that is no object is given wrapped, so that it is found unreadable and kept."""
    if isinstance(value, list):
        yield from (item if isinstance(item, dict) else {"value": item} for item in value)
    elif value is not None:
        yield {"value": value}


@dataclass(frozen=True)
class Piece:
    """An element on its way to being an event; ``reason`` is what it is kept under when ``read`` fails."""

    item: Json
    reason: str
    read: Callable[[], Event]


def read_pieces(pieces: Iterable[Piece]) -> tuple[tuple[Event, ...], tuple[Unreadable, ...]]:
    """The events, and the pieces that no event which survives the wire can be made of."""
    events: list[Event] = []
    unreadable: list[Unreadable] = []
    for piece in pieces:
        try:
            event = piece.read()
            event.model_dump_json()
        except _UNREADABLE:
            unreadable.append(Unreadable(encoded(piece.item), piece.reason))
        else:
            events.append(event)
    return tuple(events), tuple(unreadable)


def encoded(value: object) -> bytes:
    """JSON in ASCII, which holds whatever a sender managed to write."""
    return json.dumps(value).encode()
