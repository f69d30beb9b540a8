"""Who waits on a connection that is given up is told so, and who is cancelled stays cancelled."""

import asyncio

import pytest

from shared.clients.given_up import given_up_is_an_error


async def test_what_aiormq_ends_as_cancelled_is_an_error_for_who_was_not_cancelled() -> None:
    confirmation: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def publish() -> None:
        with given_up_is_an_error():
            async with asyncio.timeout(5):
                await confirmation

    publishing = asyncio.create_task(publish())
    await asyncio.sleep(0)
    confirmation.set_exception(asyncio.CancelledError())
    with pytest.raises(ConnectionError):
        await publishing


async def test_a_deadline_and_a_real_cancellation_are_left_as_they_are() -> None:
    async def wait(seconds: float) -> None:
        with given_up_is_an_error():
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError):
        await wait(0)
    waiting = asyncio.create_task(wait(60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
