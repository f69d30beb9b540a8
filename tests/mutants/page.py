"""The table of what was tried last, as Markdown: a run of some mutants replaces their rows and leaves the others."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_HEAD = """\
# Mutants

Zeros count only where a one would be seen. `make mutants` seeds each of these mistakes into a copy of the tree and asks
one named check, which has to pass on the tree as it is, to notice it: an ordinary test by an assertion of its own, or a
play of `make chaos` by a check on what the sandbox saw. What breaks everything is not caught.

`make mutants MUTANT=ack-first` tries one, `ARGS=--list` names them, `ARGS=--quick` leaves the plays out, and this page
is what `ARGS=--publish` writes. A new one is a patch in `tests/mutants/patches` and an entry in the catalogue,
`tests/mutants/catalogue.py`.
"""
_LONGEST = 160
_ROW = re.compile(r"\| (?P<name>[a-z0-9-]+) \| ")
_NOT = "**not caught**"


@dataclass(frozen=True)
class Row:
    """What became of one mutant; ``by`` is what its catcher said, ``commit`` the tree that it spoilt."""

    name: str
    bug: str
    caught: bool
    by: str
    seconds: float
    commit: str


def write_page(path: Path, rows: Sequence[Row], names: Sequence[str]) -> None:
    """``names`` are all that there are, in order."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(page(rows, names, before), encoding="utf-8")


def page(rows: Sequence[Row], names: Sequence[str], before: str = "") -> str:
    """The whole page; ``before`` is the one that stands, whose rows are kept where there is no newer one."""
    lines = {found["name"]: line for line in before.splitlines() if (found := _ROW.match(line))}
    lines |= {row.name: _line(row) for row in rows}
    shown = [lines[name] for name in names if name in lines]
    caught = sum(_NOT not in line for line in shown)
    missing = [name for name in names if name not in lines]
    told = f"**{caught} of {len(shown)} caught.**" + (f" Not tried yet: {', '.join(missing)}." if missing else "")
    columns = ["| mutant | the mistake | caught by | seconds | commit |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([_HEAD, told, "", *columns, *shown, ""])


def _line(row: Row) -> str:
    by = row.by if row.caught else f"{_NOT}: {row.by}"
    return f"| {row.name} | {_cell(row.bug)} | {_cell(by)} | {row.seconds:.0f} | {row.commit} |"


def _cell(text: str) -> str:
    shown = " ".join(text.split())
    shown = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
    return shown.replace("|", "\\|")
