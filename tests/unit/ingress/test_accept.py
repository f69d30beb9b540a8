"""What becomes of a body's other pieces when one of them is not confirmed."""

import asyncio
import gc

import pytest

from ingress.accept import PUBLISHES_IN_FLIGHT, AcceptWebhook
from ingress.payloads import Contents
from shared.contracts import Event
from shared.errors import PublishFailed
from shared.topology.lanes import Lane
from support.builders import make_xero_event
from support.outbox import FakeOutbox


class Refusing(FakeOutbox):
    """Of a full window the last is refused; RabbitMQ says nothing of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0

    async def publish(self, event: Event, lane: Lane) -> None:
        self.begun += 1
        if self.begun == PUBLISHES_IN_FLIGHT:
            raise PublishFailed("publish_unconfirmed")
        await asyncio.Event().wait()


@pytest.mark.filterwarnings("error")
async def test_what_still_waits_for_its_place_when_one_is_refused_is_not_begun() -> None:
    outbox = Refusing()
    events = tuple(make_xero_event(event_id=str(number)) for number in range(PUBLISHES_IN_FLIGHT + 50))
    with pytest.raises(ExceptionGroup) as refused:
        await AcceptWebhook(outbox, lambda _event: Lane.HOT)(Contents("webhooks/xero", events))
    assert refused.group_contains(PublishFailed)
    # A coroutine that was made and never begun tells of itself when it goes.
    gc.collect()
    assert outbox.begun < len(events)
