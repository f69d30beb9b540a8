"""One measurement's own installation, up for as long as it takes."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.services import NAMES
from deploy.stack import Stack

_SILENT = """
version: 1
defaults:
  alerts: {issued: false, paid: false}
  scan_at: "23:59"
"""
"""Nothing is sent and nothing scanned, so that what is counted comes of events alone."""


@contextmanager
def running(
    scale: Mapping[str, int], env: Mapping[str, str] | None = None, *, sandbox: bool = True, policy: str = _SILENT
) -> Iterator[Stack]:
    """Servers and, of the services, only those that ``scale`` names; all of it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="duebell-bench-") as name:
        folder = Path(name)
        policy_file = folder / "policy.yaml"
        policy_file.write_text(policy)
        stack = Stack(
            folder,
            {"DUEBELL_POLICY_FILE": str(policy_file), **(env or {})},
            {**dict.fromkeys(NAMES, 0), **scale},
            sandbox=sandbox,
            tied=True,
            say=lambda line: print(f"  {line}", file=sys.stderr),
        )
        try:
            stack.up()
            yield stack
        finally:
            stack.down()
