"""A copy of the source tree to be spoilt: with a Python of its own, so that nothing of the real tree is imported."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.paths import ROOT

PATCHES = Path(__file__).parent / "patches"
_LEFT_OUT = frozenset({".git", ".venv", "var", ".env", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"})
_SOURCES = ("shared/src", "services/*/src", "sandbox/src", "deploy/src")
_ENDS_WITHIN = 90.0
"""What is asked to stop puts whole installations away first."""


@dataclass(frozen=True)
class Trial:
    """``folder`` is the copy, ``python`` its interpreter; ``results`` is for what a catcher writes."""

    folder: Path
    python: Path
    results: Path

    def run(self, *arguments: str, seconds: float, variables: Mapping[str, str] | None = None) -> int | None:
        """The exit code of ``python ‹arguments›`` in the copy, None when it took too long; its output is kept."""
        environment = {name: value for name, value in os.environ.items() if name not in _OF_THE_REAL_TREE}
        environment |= {"PATH": f"{self.python.parent}{os.pathsep}{environment.get('PATH', os.defpath)}"}
        environment |= variables or {}
        with (self.results / "output").open("wb") as output:
            process = subprocess.Popen(
                [str(self.python), *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None
            finally:
                _end(process)

    @property
    def output(self) -> str:
        """Of the last run."""
        return (self.results / "output").read_text(encoding="utf-8", errors="replace")


_OF_THE_REAL_TREE = frozenset({"PYTHONPATH", "VIRTUAL_ENV", "PYTEST_ADDOPTS", "TEST_SIZE", "CHAOS", "SEED"})


class DoesNotApply(Exception):  # noqa: N818 - what happened
    """The patch does not fit the tree; the text says why."""


@contextmanager
def a_trial(patch: Path | None = None) -> Iterator[Trial]:
    """Copy the tree, with ``patch`` applied, and forget it afterwards. Raises :class:`DoesNotApply`."""
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as place:
        folder, results = Path(place) / "tree", Path(place) / "results"
        results.mkdir()
        shutil.copytree(ROOT, folder, symlinks=True, ignore=_left_out)
        if patch is not None:
            apply(patch, folder)
        yield Trial(folder, _interpreter(folder), results)


def apply(patch: Path, folder: Path, *, only_check: bool = False) -> None:
    """Raises :class:`DoesNotApply`."""
    # Inside a repository git would take the paths for those of its own top.
    ceiling = {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    command = ["git", "-c", "safe.directory=*", "apply", *(["--check"] if only_check else []), str(patch)]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **ceiling}, capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode != 0:
        raise DoesNotApply((done.stderr or done.stdout).strip())


def _left_out(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in _LEFT_OUT} if Path(folder) == ROOT else set()


def _interpreter(folder: Path) -> Path:
    """One that finds our packages in the copy and all others where this one finds them.

    The real environment's own ``.pth`` files, which name the real tree, are not read: it is a plain entry of the path.
    """
    environment = folder / ".venv"
    venv.create(environment, symlinks=True, with_pip=False)
    python = environment / "bin" / "python"
    here = Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    sources = [str(path) for pattern in _SOURCES for path in sorted(folder.glob(pattern))]
    lines = [*sources, sysconfig.get_path("purelib")]
    (environment / here / "tree.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return python


def _end(process: "subprocess.Popen[bytes]") -> None:
    """The whole group, first politely: servers and services belong to it."""
    for name, seconds in ((signal.SIGTERM, _ENDS_WITHIN), (signal.SIGKILL, 10.0)):
        if process.poll() is not None:
            return
        os.killpg(process.pid, name)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
