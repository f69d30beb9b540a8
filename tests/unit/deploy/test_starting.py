"""When a start has succeeded, and when it has failed."""

from deploy.starting import Starting
from deploy.supervision import Supervised


def process(state: str, pid: int) -> dict[str, Supervised]:
    return {"fetcher-1": Supervised("fetcher-1", state, pid, "")}


def test_it_is_over_when_all_are_ready() -> None:
    answers = iter([False, True])
    starting = Starting({"fetcher-1": lambda: next(answers)})
    assert not starting.look(process("RUNNING", 5))
    assert starting.waiting == ("fetcher-1",)
    assert starting.look(process("RUNNING", 5))
    assert starting.failed is None


def test_a_process_that_ended_has_failed() -> None:
    starting = Starting({"fetcher-1": lambda: False})
    assert starting.look(process("BACKOFF", 0))
    assert starting.failed == "fetcher-1"


def test_a_process_that_was_started_again_unseen_has_failed() -> None:
    starting = Starting({"fetcher-1": lambda: False})
    starting.look(process("RUNNING", 5))
    assert starting.look(process("RUNNING", 6))
    assert starting.failed == "fetcher-1"


def test_a_process_that_nobody_knows_has_failed() -> None:
    starting = Starting({"fetcher-1": lambda: True})
    assert starting.look({})
    assert starting.failed == "fetcher-1"
