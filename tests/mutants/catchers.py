"""What must notice a mutant: ordinary tests by name, or a play of the chaos harness by one of its checks."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

from chaos.__main__ import judge
from mutants.trial import Trial

_TESTS_SECONDS = 300.0
_PLAY_SECONDS = 600.0
_BY_ASSERTION = re.compile(r"(AssertionError|assert |Failed: DID NOT RAISE|ExceptionGroup: .*AssertionError)")


@dataclass(frozen=True)
class Verdict:
    """``caught`` by what ``by`` names; else ``by`` says what happened instead."""

    caught: bool
    by: str


class Catcher(Protocol):
    """Equal catchers are tried once without any mutant."""

    def passes(self, trial: Trial) -> Verdict:
        """``caught`` where it does not pass: then it can catch nothing."""

    def tried(self, trial: Trial) -> Verdict:
        """Whether it notices what is wrong with the tree, for the reason that it names."""


@dataclass(frozen=True)
class Tests:
    """Node ids of pytest; one that fails by an assertion of its own notices. What breaks everything is no finding."""

    __test__ = False
    nodes: tuple[str, ...]

    def passes(self, trial: Trial) -> Verdict:
        return tests_pass(trial, self.nodes)

    def tried(self, trial: Trial) -> Verdict:
        code = _pytest(trial, self.nodes)
        if code is None:
            return Verdict(False, f"the tests did not end within {_TESTS_SECONDS:.0f} s")
        results = read_results(trial.results / "junit.xml")
        for name, message in results.failed:
            if _BY_ASSERTION.match(message):
                return Verdict(True, f"{name}: {_first_line(message)}")
        if results.failed or results.broken:
            name, message = (*results.failed, *results.broken)[0]
            return Verdict(False, f"no assertion, but {name}: {_first_line(message)}")
        return Verdict(False, "the tests pass" if results.passed else f"no test ran: {_last_line(trial.output)}")


def tests_pass(trial: Trial, nodes: Sequence[str]) -> Verdict:
    """Of any number of catchers together: every node passes and none is missing."""
    code = _pytest(trial, nodes)
    results = read_results(trial.results / "junit.xml")
    if code == 0 and results.passed >= len(set(nodes)) and not results.skipped:
        return Verdict(False, f"{results.passed} tests pass")
    wrong = [f"{name}: {_first_line(message)}" for name, message in (*results.failed, *results.broken)]
    wrong += [f"{name} was skipped" for name in results.skipped]
    return Verdict(True, "; ".join(wrong) or _last_line(trial.output) or "they did not end in time")


@dataclass(frozen=True)
class Play:
    """``make chaos CHAOS=‹faults›``, in which one of ``checks`` must find violations and none may without a mutant.

    ``patience`` in seconds: what a mutant has lost never comes, and is waited for in vain.
    """

    faults: str
    checks: tuple[str, ...]
    patience: int = 30
    seed: int = 1

    def passes(self, trial: Trial) -> Verdict:
        found = self._play(trial)
        return Verdict(found != [], "no violation" if found == [] else _told(found))

    def tried(self, trial: Trial) -> Verdict:
        found = self._play(trial)
        ours = [line for line in found or () if line[0] in self.checks]
        if ours:
            name, details = ours[0]
            return Verdict(True, f"{name} × {len(ours)}: {details}")
        return Verdict(False, "no violation" if found == [] else _told(found))

    @property
    def key(self) -> tuple[str, int]:
        """Of two with the same one an unspoilt play is the same."""
        return self.faults, self.seed

    def _play(self, trial: Trial) -> list[tuple[str, str]] | None:
        """Check and details of every violation; None when there is no whole run to judge."""
        out = trial.results / "play"
        code = trial.run(
            *(
                "-m",
                "chaos",
                self.faults,
                "--seed",
                str(self.seed),
                "--patience",
                str(self.patience),
                "--out",
                str(out),
            ),
            seconds=_PLAY_SECONDS,
            variables={"PYTHONPATH": os.pathsep.join([str(trial.folder / "tests")])},
        )
        if code not in {0, 1}:
            return None
        # By the checks of this tree: what judges is not spoilt.
        figures, _ = judge(out / "history.jsonl")
        return [(one.check, f"{one.subject} {one.details}".strip()) for one in figures.violations]


def _told(found: list[tuple[str, str]] | None) -> str:
    if found is None:
        return "the run broke off"
    return f"other checks: {', '.join(sorted({name for name, _ in found}))}"


@dataclass(frozen=True)
class Results:
    """Of one pytest run; each with its name and what was said. Those that are ``broken`` did not get to the test."""

    passed: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    broken: tuple[tuple[str, str], ...] = ()
    skipped: tuple[str, ...] = ()


def read_results(path: Path) -> Results:
    """Of pytest's own JUnit file; nothing at all where there is none."""
    if not path.exists():
        return Results()
    passed, failed, broken, skipped = 0, [], [], []
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        failure, error = case.find("failure"), case.find("error")
        if failure is not None:
            failed.append((name, failure.get("message", "")))
        elif error is not None:
            broken.append((name, error.get("message", "")))
        elif case.find("skipped") is not None:
            skipped.append(name)
        else:
            passed += 1
    return Results(passed, tuple(failed), tuple(broken), tuple(skipped))


def _pytest(trial: Trial, nodes: Sequence[str]) -> int | None:
    options = ("-q", "-p", "no:cacheprovider", f"--junitxml={trial.results / 'junit.xml'}")
    return trial.run("-m", "pytest", *options, *nodes, seconds=_TESTS_SECONDS)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
