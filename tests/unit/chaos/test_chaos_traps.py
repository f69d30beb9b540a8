"""Traps: where they are set, when they strike, and what they tell."""

import json
import os
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL
from textwrap import dedent

import pytest

from chaos.points import KILLERS, POINTS, points_of
from chaos.traps import KILLED, MARKED, Moment, Point, arm, disarm, resolve, struck
from deploy.paths import ROOT
from deploy.services import NAMES

INVOICE = "1d5a1c1e-0b6f-4b1c-8d3c-5a7a3f0e9b21"
TOY = dedent("""
    import asyncio, sys
    from pathlib import Path
    from chaos.traps import Moment, Point, install
    from chaos.wrappers import wrapper

    class Toy:
        async def work(self, number, about):
            return number * 2

    async def main():
        toy = Toy()
        for number in range(3):
            print(await toy.work(number, sys.argv[3]), flush=True)

    moment = Moment[sys.argv[2]]
    install([Point("toy", "work", "__main__:Toy.work", moment, sys.argv[4])], Path(sys.argv[1]), wrapper)
    asyncio.run(main())
""")


def play(folder: Path, moment: Moment, *, wanted: str = "", about: str = INVOICE) -> tuple[int, list[str]]:
    """The exit code of a process that makes three calls, and what it had printed."""
    done = subprocess.run(
        [sys.executable, "-c", TOY, str(folder), moment.name, about, wanted],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.split()


def a_point(moment: Moment) -> Point:
    return Point("toy", "work", "__main__:Toy.work", moment)


@pytest.mark.parametrize("point", [*POINTS, *KILLERS], ids=lambda point: f"{point.title}-{point.moment.name}")
def test_every_point_stands_at_a_function_that_there_is(point: Point) -> None:
    resolve(point.target)


def test_every_service_has_points_and_no_two_have_one_name() -> None:
    titles = [point.title for point in POINTS]
    assert len(titles) == len(set(titles)) >= 24
    assert all(points_of(service) for service in NAMES)
    assert {point.service for point in POINTS} == set(NAMES)


@pytest.mark.parametrize("target", ["json:Gone.dumps", "json:gone", "no_such_module:f", "json:JSONEncoder.__repr__"])
def test_a_function_that_is_gone_is_an_error(target: str) -> None:
    with pytest.raises((AttributeError, ImportError)):
        resolve(target)


@pytest.mark.parametrize(("moment", "printed"), [(Moment.BEFORE, ["0"]), (Moment.AFTER, ["0"])])
def test_an_armed_trap_strikes_the_call_that_is_meant_once(tmp_path: Path, moment: Moment, printed: list[str]) -> None:
    wanted = r"\b1\b" if moment is Moment.BEFORE else r"2\Z"
    arm(tmp_path, a_point(moment))
    assert play(tmp_path, moment, wanted=wanted) == (-SIGKILL, printed)
    found = json.loads(struck(tmp_path, a_point(moment)).read_text())
    assert found["ids"] == [INVOICE]
    assert found["pid"] > 0
    assert play(tmp_path, moment, wanted=wanted) == (0, ["0", "2", "4"])


def test_a_trap_that_is_not_armed_or_not_meant_does_nothing(tmp_path: Path) -> None:
    arm(tmp_path, a_point(Moment.AFTER))
    assert play(tmp_path, Moment.AFTER, wanted="another") == (0, ["0", "2", "4"])
    disarm(tmp_path, a_point(Moment.AFTER))
    assert play(tmp_path, Moment.AFTER) == (0, ["0", "2", "4"])
    assert not struck(tmp_path, a_point(Moment.AFTER)).exists()


def test_a_marked_message_ends_every_process_that_takes_it(tmp_path: Path) -> None:
    (tmp_path / MARKED).write_text("poison-7\n")
    assert play(tmp_path, Moment.MARKED, about="poison-70") == (0, ["0", "2", "4"])
    for _ in range(2):
        assert play(tmp_path, Moment.MARKED, about="poison-7") == (-SIGKILL, [])
    assert [line.split()[0] for line in (tmp_path / KILLED).read_text().splitlines()] == ["poison-7", "poison-7"]


def test_a_service_whose_functions_are_renamed_does_not_start(tmp_path: Path) -> None:
    """Python would go on after an error in a sitecustomize; and an operator's command is not meant."""
    fake = tmp_path / "notifier" / "__main__.py"
    fake.parent.mkdir()
    fake.with_name("__init__.py").touch()
    fake.write_text("print('it runs')")
    inside = ROOT / "tests" / "chaos" / "inside"
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}:{inside}:{ROOT / 'tests'}",
        "CHAOS_SERVICE": "notifier",
        "CHAOS_TRAPS": str(tmp_path),
    }

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-P", *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout

    assert run("-m", "notifier") == (3, "")
    assert run("-c", "print('it runs')") == (0, "it runs\n")
