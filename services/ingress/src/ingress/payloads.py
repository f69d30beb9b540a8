"""What a webhook body is made of: the events we understand, and the pieces we keep although we do not."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.contracts import Event

Json = Mapping[str, Any]


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


def objects(value: object) -> Iterator[Json]:
    """The objects of a list; anything that is not one is passed over."""
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
