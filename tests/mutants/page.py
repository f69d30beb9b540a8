"""The table of a run as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

_LONGEST = 160


@dataclass(frozen=True)
class Row:
    """What became of one mutant; ``asked`` is its catcher, ``by`` what that said."""

    name: str
    bug: str
    asked: str
    caught: bool
    by: str
    seconds: float


def write_page(path: Path, rows: Sequence[Row], commit: str, day: date) -> None:
    path.write_text(page(rows, commit, day), encoding="utf-8")


def page(rows: Sequence[Row], commit: str, day: date) -> str:
    """The whole page."""
    caught, seconds = sum(row.caught for row in rows), sum(row.seconds for row in rows)
    lines = [
        "# Mutants",
        "",
        "Zeros count only where a one would be seen. `make mutants` seeds each of these mistakes into a copy of the",
        "tree and asks one named check, which has to pass on the tree as it is, to notice it: an ordinary test by an",
        "assertion of its own, or a play of `make chaos` by a check on what the sandbox saw. What breaks everything is",
        "not caught. `make mutants MUTANT=ack-first` tries one, `ARGS=--list` names them, `ARGS=--quick` leaves the",
        "plays out. A new one is a patch in `tests/mutants/patches` and an entry in `tests/mutants/catalogue.py`.",
        "",
        f"**{caught} of {len(rows)} caught**, {day.isoformat()}, commit {commit}; {seconds:.0f} s.",
        "",
        "| mutant | the mistake | caught by | seconds |",
        "| --- | --- | --- | --- |",
        *(f"| {row.name} | {_cell(row.bug)} | {_caught_by(row)} | {row.seconds:.0f} |" for row in rows),
        "",
    ]
    return "\n".join(lines)


def _caught_by(row: Row) -> str:
    return _cell(row.by if row.caught else f"**not caught**: {row.by}")


def _cell(text: str) -> str:
    shown = " ".join(text.split()).replace("|", "\\|")
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
