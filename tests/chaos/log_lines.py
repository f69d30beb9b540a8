"""Finds the numbers of those who were written to in the services' own log files."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

_DIGITS = re.compile(r"\d{10,15}")
_COUNTED = 10
"""The last digits of a number: with or without a plus and a country's code, it is the same."""


def tail_of(number: str) -> str:
    """What two ways of writing one number have in common."""
    return "".join(one for one in number if one.isdigit())[-_COUNTED:]


def showing(lines: Iterable[str], tails: Collection[str]) -> "Counter[str]":
    """How many lines show one of the numbers, by the event that they tell of."""
    found: Counter[str] = Counter()
    for line in lines:
        if any(digits[-_COUNTED:] in tails for digits in _DIGITS.findall(line)):
            found[_event(line)] += 1
    return found


def leaks(folder: Path, services: Iterable[str], tails: Collection[str]) -> Iterator[tuple[str, str, int]]:
    """Service, event and lines, of all log files of these services, the rotated ones too."""
    for service in services:
        for path in sorted(folder.glob(f"{service}-*.log*")):
            with path.open(encoding="utf-8", errors="replace") as lines:
                for event, count in showing(lines, tails).items():
                    yield service, event, count


def _event(line: str) -> str:
    try:
        told = json.loads(line)
    except ValueError:
        return "no event"
    return str(told.get("event")) if isinstance(told, dict) else "no event"
