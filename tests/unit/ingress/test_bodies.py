"""Small bodies never wait; large ones share a room, and who has been read the longest makes room for others."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request

from ingress.bodies import MAX_BODY_BYTES, SMALL_BYTES, BodyRoom, BodyTooLarge, read_body

LARGE = b"x" * (SMALL_BYTES + 1)


def request(*pieces: bytes | asyncio.Event) -> Request:
    """One whose body comes in those pieces; an event is waited for."""

    async def messages() -> AsyncIterator[dict[str, object]]:
        for piece in pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            else:
                yield {"type": "http.request", "body": piece, "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    coming = messages()
    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, coming.__anext__)


async def test_large_bodies_share_a_room_and_small_ones_need_none() -> None:
    room, ended = BodyRoom(most=2 * len(LARGE)), asyncio.Event()
    first = asyncio.create_task(read_body(request(LARGE, ended), room))
    second = asyncio.create_task(read_body(request(LARGE, ended), room))
    await asyncio.sleep(0)
    third = asyncio.create_task(read_body(request(LARGE), room))
    assert await read_body(request(b"x" * SMALL_BYTES), room) == b"x" * SMALL_BYTES
    assert not third.done()
    ended.set()
    assert list(await asyncio.gather(first, second, third)) == [LARGE] * 3


@pytest.mark.parametrize("stalled", [8, 200])
async def test_who_stalls_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch, stalled: int) -> None:
    monkeypatch.setattr("ingress.bodies.LATE_AFTER", 0.05)
    monkeypatch.setattr("ingress.bodies.READ_SECONDS", 60.0)
    room, never = BodyRoom(most=8 * len(LARGE)), asyncio.Event()
    attackers = [asyncio.create_task(read_body(request(LARGE, never), room)) for _ in range(stalled)]
    await asyncio.sleep(0)
    assert await read_body(request(LARGE, LARGE), room) == LARGE + LARGE
    ended = await asyncio.wait_for(asyncio.gather(*attackers[:2], return_exceptions=True), 30)
    assert [type(end) for end in ended] == [TimeoutError] * 2
    for attacker in attackers:
        attacker.cancel()
    await asyncio.gather(*attackers, return_exceptions=True)


async def test_room_is_given_back_however_a_body_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    room = BodyRoom(most=2 * MAX_BODY_BYTES)
    monkeypatch.setattr("ingress.bodies.READ_SECONDS", 0.05)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await read_body(request(b"x" * MAX_BODY_BYTES, asyncio.Event()), room)
        with pytest.raises(BodyTooLarge):
            await read_body(request(LARGE, b"x" * MAX_BODY_BYTES), room)
    assert await read_body(request(b"x" * MAX_BODY_BYTES), room) == b"x" * MAX_BODY_BYTES
