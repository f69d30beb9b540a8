"""A crash of the token-broker leaves no picture of its memory."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

CRASHING = """
import ctypes, os, resource, runpy, sys
import shared.runtime.service as service

def crash(*_):
    dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == "linux" else 0
    print(*resource.getrlimit(resource.RLIMIT_CORE), dumpable, flush=True)
    os.abort()

service.main = crash
if sys.argv[1] == "token_broker":
    runpy.run_module("token_broker", run_name="__main__")
crash()
"""


def crashed(folder: Path, what: str) -> list[str]:
    """Soft limit, hard limit and dumpability just before the abort; core files go to ``folder``."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    process = subprocess.run(
        [sys.executable, "-c", CRASHING, what],
        cwd=folder,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == -6
    return process.stdout.split()


def test_the_service_leaves_no_dump(tmp_path: Path) -> None:
    assert crashed(tmp_path, "token_broker") == ["0", "0", "0"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux where core files go")
def test_another_process_leaves_one_so_this_would_be_seen(tmp_path: Path) -> None:
    if Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/")):
        pytest.skip("core files of this machine go elsewhere")
    _, hard, dumpable = crashed(tmp_path, "anything")
    if hard == "0":
        pytest.skip("this machine allows no core files")
    assert dumpable == "1"
    assert len(list(tmp_path.iterdir())) == 1
