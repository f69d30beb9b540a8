"""Where the providers' own OpenAPI files are, and which differences from them are known."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.official import Fault, OfficialFile

VARIABLE = "OFFICIAL_OPENAPI_DIR"


def official_file(pattern: str) -> OfficialFile:
    """The file of that name in the directory that the developer points to; without it the test is skipped."""
    directory = os.environ.get(VARIABLE)
    if not directory:
        pytest.skip(f"{VARIABLE} does not say where the providers' OpenAPI files are (see CONTRIBUTING.md)")
    found = sorted(Path(directory).glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} in {VARIABLE}")
    return OfficialFile.read(found[-1])


def unknown(faults: Iterable[Fault], known: Mapping[str, str], used: set[str]) -> list[str]:
    """The faults that are no known difference, one line each; the known ones that occurred are noted in ``used``."""
    left: dict[str, str] = {}
    for fault in faults:
        if fault.key in known:
            used.add(fault.key)
        else:
            left.setdefault(fault.key, fault.text)
    return [f"{key} {text}".strip() for key, text in left.items()]


def keeping(seen: list[httpx.Response]) -> dict[str, list[Callable[..., Any]]]:
    """Event hooks for a client: every answer is read to its end and kept, with its request."""

    async def keep(answer: httpx.Response) -> None:
        await answer.aread()
        seen.append(answer)

    return {"response": [keep]}
