"""The short run of `make chaos`: real processes under load and faults, judged by what the sandbox saw."""

import os
from pathlib import Path

import pytest
from rich.console import Console

from chaos.__main__ import judge, run
from support.sizes import in_full

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (in_full() or os.environ.get("CHAOS") == "pr"), reason="takes four minutes: CHAOS=pr or TEST_SIZE=full"
    ),
]


def test_under_faults_nothing_is_lost_doubled_or_let_in(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED", "1"))
    history = run("pr", seed, tmp_path / "chaos", Console(highlight=False))
    figures, _ = judge(history)
    assert figures.violations == []
    assert figures.ends["sent"] > 0
