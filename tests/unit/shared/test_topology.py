"""Every queue keeps what it has promised: whatever leaves it unhandled goes where a person finds it."""

import pytest

from shared.topology import exchanges
from shared.topology.delays import LADDER
from shared.topology.queues import DEAD_ARGUMENTS, QUEUES, Purpose, Queue, delay_arguments

WORK = [queue for queue in QUEUES if queue.purpose is Purpose.WORK]


@pytest.mark.parametrize("queue", WORK, ids=lambda queue: queue.name)
def test_what_a_queue_gives_up_waits_with_its_service_s_dead_letters(queue: Queue) -> None:
    held = {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": exchanges.DEAD,
        "x-dead-letter-routing-key": queue.service,
        # Any other strategy or overflow forwards at most once.
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    assert held.items() <= queue.arguments.items()
    assert int(queue.arguments["x-delivery-limit"]) > 0


@pytest.mark.parametrize("arguments", [DEAD_ARGUMENTS, *(delay_arguments(rung.seconds) for rung in LADDER)])
def test_what_waits_is_replicated_and_pushes_nothing_out(arguments: dict[str, str | int]) -> None:
    assert (arguments["x-queue-type"], arguments["x-overflow"]) == ("quorum", "reject-publish")
