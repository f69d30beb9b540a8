"""The runs that there were, the failed ones too: a line for each in a ledger, so that none is published alone.

A line is written when a run begins and another when it ends. Who is killed in between has left the first.
"""

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

from chaos.databases import NAMES
from chaos.figures import Figures
from chaos.history import Record, read_history
from chaos.report import headline

SIZES = frozenset({"pr", "night", "cluster"})
"""What is published of every release, whichever run is shown."""
NO_END = "it did not end"
_LONGEST_WHY = 120


@dataclass(frozen=True, slots=True)
class Run:
    """``violations`` counts them by check. ``broke_off`` says why there is no verdict; None where there is one.

    ``at_first`` is how many violations were found when the run was made, where later checks judged otherwise.
    """

    run: str
    day: str
    release: str
    commit: str
    size: str
    seed: int
    headline: str = ""
    kills: int = 0
    faults: int = 0
    events: int = 0
    violations: Mapping[str, int] = field(default_factory=dict)
    broke_off: str | None = NO_END
    at_first: int | None = None
    database: str = "sqlite"

    @property
    def verdict(self) -> str:
        if self.broke_off is not None:
            return f"broke off: {self.broke_off}"
        found = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(self.violations.items()))
        return (found or "none") + (f" ({self.at_first} when it was made)" if self.at_first is not None else "")


def begun(about: Record) -> Run:
    """``about`` is the history's first record."""
    day = about.get("day") or datetime.fromtimestamp(about["at"], UTC).date().isoformat()
    identity = f"{about['at']:.3f}-{about['seed']}"
    known = (identity, day, about.get("release", ""), about["commit"], about["size"], about["seed"])
    return Run(*known, database=about.get("database", "sqlite"))


def ended(about: Record, figures: Figures) -> Run:
    known = asdict(begun(about))
    found = {name: count for name, count in figures.found.items() if count}
    counts = {"kills": figures.kills, "faults": figures.faults.total(), "events": figures.events}
    return Run(**{**known, **counts, "violations": found, "headline": headline(figures, about), "broke_off": None})


@contextmanager
def noted(ledger: Path, about: Record) -> Iterator[list[Run]]:
    """Write a run down, however it ends: the verdict is the last of what was put into the list."""
    run = begun(about)
    write(ledger, [run])
    verdicts: list[Run] = []
    try:
        yield verdicts
    finally:
        broken = Run(**{**asdict(run), "broke_off": _why(sys.exc_info()[1])})
        write(ledger, verdicts[-1:] or [broken])


def write(ledger: Path, runs: Iterable[Run]) -> None:
    """Append lines; none is ever taken away."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(run), ensure_ascii=False, sort_keys=True) + "\n" for run in runs)


def read(ledger: Path) -> list[Run]:
    """One a run, in the order in which they began. A verdict replaces a beginning, and a later one an earlier one."""
    found: dict[str, Run] = {}
    for line in read_history(ledger) if ledger.exists() else ():
        run = Run(**{name: line[name] for name in (each.name for each in fields(Run)) if name in line})
        found[run.run] = judged_again(found.get(run.run), run)
    return sorted(found.values(), key=lambda run: float(run.run.partition("-")[0]))


def judged_again(before: Run | None, now: Run) -> Run:
    """The later of two lines of one run, which does not hide what the earlier one said."""
    if before is None or before.broke_off == NO_END:
        return now
    if now.broke_off is not None:
        return before
    first = before.at_first if before.at_first is not None else sum(before.violations.values())
    at_first = first if before.broke_off is None and first != sum(now.violations.values()) else None
    return Run(**{**asdict(now), "at_first": at_first})


def publish_with_others(published: Path, local: Path, shown: Run) -> list[Run]:
    """Write into the published ledger what the local one knows of its sizes; returns all runs of the shown release.

    Whoever publishes a run publishes with it every other that was made here since the last release.
    """
    sizes = SIZES | {shown.size}
    known = {run.run: run for run in read(published)}
    for run in [*read(local), shown]:
        if run.size in sizes and run.release == shown.release:
            known[run.run] = judged_again(known.get(run.run), run)
    published.unlink(missing_ok=True)
    write(published, sorted(known.values(), key=lambda run: float(run.run.partition("-")[0])))
    return of_release(read(published), shown.release, sizes)


def of_release(runs: Iterable[Run], release: str, sizes: Collection[str]) -> list[Run]:
    return [run for run in runs if run.release == release and run.size in sizes]


def table(runs: Iterable[Run], shown: str) -> list[tuple[str, ...]]:
    """Rows for the report, the latest first; the one that is ``shown`` says so."""
    return [
        (
            f"{run.day}{', this one' if run.run == shown else ''}",
            run.commit,
            run.size if run.size in SIZES else f"{run.size.count(',') + 1} by name",
            NAMES[run.database],
            str(run.seed),
            str(run.faults),
            str(run.kills),
            str(run.events),
            run.verdict,
        )
        for run in reversed(list(runs))
    ]


def _why(error: BaseException | None) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if error is None:
        return NO_END
    # It becomes a cell of a table.
    told = " ".join(str(error).replace("|", "/").split())
    return f"{type(error).__name__}: {told}"[:_LONGEST_WHY]
