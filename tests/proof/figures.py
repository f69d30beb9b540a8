"""What a proof measured, as a line of the test's output and a small file below ``var/proof``."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path("var/proof")


def percentile(values: Sequence[float], share: float) -> float:
    """In seconds, to the millisecond."""
    return round(sorted(values)[int(len(values) * share)], 3)


def report(name: str, **figures: Any) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(figures) + "\n")
    sys.stdout.write(f"{name}: {figures}\n")
