"""``make mutants``: seeds each known mistake into a copy of the tree; exit code 1 if one of them goes unnoticed."""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console
from rich.markup import escape

from deploy.paths import ROOT
from mutants.catalogue import BY_NAME, MUTANTS, Mutant
from mutants.catchers import Catcher, Play, Tests, Verdict, tests_pass
from mutants.page import Row, write_page
from mutants.trial import DoesNotApply, Trial, a_trial

PUBLISHED = ROOT / "docs" / "mutants.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("names", nargs="?", default="", help="with commas between; all without")
    parser.add_argument("--list", action="store_true", help="say what there is and run nothing")
    parser.add_argument("--quick", action="store_true", help="only those that an ordinary test catches")
    parser.add_argument("--publish", action="store_true", help="also write docs/mutants.md")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asked = [name for name in options.names.split(",") if name]
    if unknown := set(asked) - set(BY_NAME):
        parser.error(f"there is no mutant {', '.join(sorted(unknown))}; --list names them")
    chosen = [BY_NAME[name] for name in asked] or list(MUTANTS)
    if options.quick:
        chosen = [mutant for mutant in chosen if isinstance(mutant.catcher, Tests)]
    console = Console(highlight=False, soft_wrap=True)
    if options.list:
        for mutant in chosen:
            console.print(f"[bold]{mutant.name}[/]  {escape(mutant.bug)}  [dim]{escape(says(mutant.catcher))}[/]")
        return
    rows: list[Row] = []
    for row in Run(console, _commit()).all_of(chosen):
        rows.append(row)
        if options.publish:
            write_page(PUBLISHED, rows, [mutant.name for mutant in MUTANTS])
    survivors = [row.name for row in rows if not row.caught]
    console.print(f"\n{len(rows) - len(survivors)} of {len(rows)} mutants caught")
    for name in survivors:
        console.print(f"[bold red]survives:[/] {name}")
    sys.exit(1 if survivors else 0)


def says(catcher: Catcher) -> str:
    """What is asked, as a person would type it."""
    match catcher:
        case Play():
            return f"make chaos CHAOS={catcher.faults} → {' or '.join(catcher.checks)}"
        case Tests():
            return ", ".join(catcher.nodes)
        case _:
            return type(catcher).__name__


@dataclass
class Run:
    """Asks every catcher about the tree as it is, and then about each mutant."""

    console: Console
    commit: str

    def all_of(self, mutants: Sequence[Mutant]) -> Iterator[Row]:
        """What became of each as soon as it is known, those that ordinary tests catch first."""
        plays: dict[tuple[str, int], list[tuple[Mutant, Play]]] = {}
        tests: list[tuple[Mutant, Tests]] = []
        for mutant in mutants:
            match mutant.catcher:
                case Play() as play:
                    plays.setdefault(play.key, []).append((mutant, play))
                case Tests() as some:
                    tests.append((mutant, some))
        useless = self._tests_that_fail({some for _, some in tests}) if tests else {}
        for mutant, some in tests:
            yield self._one(mutant, useless.get(some))
        for each in plays.values():
            play = each[0][1]
            verdict = self._told(play.faults, partial(_unspoilt, play.passes))
            for mutant, _ in each:
                yield self._one(mutant, verdict.by if verdict.caught else None)

    def _tests_that_fail(self, tests: Collection[Tests]) -> dict[Tests, str]:
        nodes = sorted({node for some in tests for node in some.nodes})
        verdict = self._told(f"{len(nodes)} tests", partial(_unspoilt, partial(tests_pass, nodes=nodes)))
        if not verdict.caught:
            return {}
        # Which of them it was: each is asked by itself.
        each = {some: _unspoilt(some.passes) for some in tests}
        return {some: one.by for some, one in each.items() if one.caught}

    def _one(self, mutant: Mutant, useless: str | None) -> Row:
        began = time.monotonic()
        if useless is not None:
            verdict = Verdict(False, f"the check does not even pass without it: {useless}")
        else:
            try:
                with a_trial(mutant.patch) as trial:
                    verdict = mutant.catcher.tried(trial)
            except DoesNotApply as error:
                verdict = Verdict(False, f"the patch does not apply: {error}")
        seconds = time.monotonic() - began
        self._say(mutant.name, verdict.by, seconds, "green" if verdict.caught else "bold red")
        return Row(mutant.name, mutant.bug, verdict.caught, verdict.by, seconds, self.commit)

    def _told(self, name: str, asking: Callable[[], Verdict]) -> Verdict:
        began = time.monotonic()
        verdict = asking()
        style = "bold red" if verdict.caught else "dim"
        self._say("without any", f"{name}: {verdict.by}", time.monotonic() - began, style)
        return verdict

    def _say(self, name: str, text: str, seconds: float, style: str) -> None:
        self.console.print(f"{seconds:6.1f} s  [{style}]{name:<34}[/] {escape(text[:180])}")


def _unspoilt(asking: Callable[[Trial], Verdict]) -> Verdict:
    with a_trial() as trial:
        return asking(trial)


def _commit() -> str:
    asked = ("git", "rev-parse", "--short=12", "HEAD")
    try:
        return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    main()
