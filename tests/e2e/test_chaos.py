"""The short run of `make chaos`: real processes under load and faults, judged by what the sandbox saw."""

import os
from pathlib import Path

import pytest
from rich.console import Console

from chaos.__main__ import judge, run
from chaos.report import headline, markdown

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SEED = 2027


def test_under_faults_nothing_is_lost_doubled_or_let_in(tmp_path: Path) -> None:
    history = run("pr", int(os.environ.get("SEED", SEED)), tmp_path / "chaos", Console(highlight=False))
    figures, about = judge(history)
    report = history.parent / "report.md"
    report.write_text(markdown(figures, about), encoding="utf-8")
    if figures.violations:
        found = [f"{one.check}: {one.subject} {one.details}" for one in figures.violations[:40]]
        where = f"history and services' logs beside {report}"
        pytest.fail("\n".join([headline(figures, about), *found, where]), pytrace=False)
    assert figures.ends["sent"] > 0
