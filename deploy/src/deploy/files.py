"""Writing files that nobody else may read."""

import json
import os
from collections.abc import Mapping
from pathlib import Path


def private_folder(path: Path) -> Path:
    """Make ``path`` with mode 0700 unless it exists."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` as a whole with ``text``, mode 0600: a reader sees the old or the new, never a part."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    fresh.replace(path)


def read_table(path: Path) -> dict[str, str]:
    """A flat JSON object of texts, empty when the file does not exist."""
    if not path.exists():
        return {}
    table: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return table


def write_table(path: Path, table: Mapping[str, object]) -> None:
    """Write a flat JSON object, mode 0600."""
    write_private(path, json.dumps(table, indent=1, sort_keys=True) + "\n")
