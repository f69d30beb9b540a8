"""Stopping what supervisord would rather start again."""

from pathlib import Path
from typing import Any
from xmlrpc.client import Fault

import pytest
from supervisor.xmlrpc import Faults

from deploy.errors import StackError
from deploy.supervision import Supervisor


class Scripted(Supervisor):
    """A supervisord whose one process is in the next of ``states`` whenever it is asked for; the last one stays."""

    def __init__(self, *states: str, dies: bool = False) -> None:
        super().__init__(Path("nowhere"), Path("nowhere"))
        self.states = list(states)
        self.dies = dies
        self.asked: list[str] = []

    def _call(self, method: str, *arguments: str | bool) -> Any:
        if method == "stopProcess":
            self.asked.append(str(arguments[0]))
            if self.dies:
                self.dies = False
                raise Fault(Faults.NOT_RUNNING, "NOT_RUNNING")
            return True
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return [{"name": "a", "statename": state, "pid": 0, "spawnerr": "", "description": ""}]


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        (["RUNNING", "STOPPING", "STOPPED"], 1),
        # It died by itself, and is started again before it can be told to stay down.
        (["EXITED", "STARTING", "STOPPING", "STOPPED"], 1),
        (["BACKOFF", "STOPPED"], 1),
        (["STOPPED"], 0),
        (["FATAL"], 0),
    ],
)
def test_a_process_is_stopped_however_it_is_met(states: list[str], asked: int) -> None:
    supervisor = Scripted(*states)
    supervisor.stop(["a"], seconds=10)
    assert (supervisor.states[0], supervisor.asked) == (states[-1], ["a"] * asked)


def test_one_that_dies_when_it_is_told_to_stop_is_told_again() -> None:
    supervisor = Scripted("RUNNING", "STARTING", "STOPPED", dies=True)
    supervisor.stop(["a"], seconds=10)
    assert supervisor.asked == ["a", "a"]


def test_one_that_never_goes_is_named() -> None:
    with pytest.raises(StackError, match="did not stop in 0 s: a"):
        Scripted("STOPPING").stop(["a"], seconds=0)
