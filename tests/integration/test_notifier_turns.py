"""Organisations take turns at the sender: a busy one's wave does not keep a quiet one waiting."""

import asyncio

import pytest

from notifier.sender import IN_FLIGHT, TURN
from shared.runtime.service import Stop
from support.notifier import ALWAYS, world
from support.waiting import eventually

pytestmark = pytest.mark.integration

WAVE = 60
BEFORE = 10


async def test_a_message_of_a_quiet_organisation_overtakes_the_wave_of_a_busy_one(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        for number in range(WAVE):
            contact = {"contact_id": f"c{number}", "phone": f"+9198765{number:05d}"}
            await notifier.take_in(tenant_id="busy", invoice={"invoice_id": f"i{number}"}, contact=contact)

        async def the_quiet_one_comes() -> None:
            if len(notifier.provider.posts) == BEFORE:
                contact = {"contact_id": "quiet", "phone": "+919812345678"}
                await notifier.take_in(tenant_id="quiet", invoice={"invoice_id": "quiet"}, contact=contact)

        notifier.provider.meanwhile = the_quiet_one_comes
        stop = Stop()
        sending = asyncio.create_task(notifier.sender.run(stop))
        await eventually(lambda: len(notifier.provider.posts) > WAVE, seconds=30, what="all messages")
        stop.set()
        await sending
    place = [message.to for message, _ in notifier.provider.posts].index("+919812345678")
    assert place <= BEFORE + TURN + 2 * IN_FLIGHT
