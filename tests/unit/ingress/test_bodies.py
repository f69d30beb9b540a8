"""Small bodies never wait; of large ones a few are held at once, and some more may wait."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request

from ingress.bodies import MAX_BODY_BYTES, SMALL_BYTES, BodyRoom, BodyTooLarge, NoRoom, read_body

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


async def test_large_bodies_wait_for_their_turn_in_order_and_small_ones_do_not() -> None:
    room, ended, order = BodyRoom(at_once=1, waiting=2), asyncio.Event(), list[int]()

    async def one(number: int, *pieces: bytes | asyncio.Event) -> None:
        assert await read_body(request(*pieces), room) == b"".join(p for p in pieces if isinstance(p, bytes))
        order.append(number)

    first = asyncio.create_task(one(1, LARGE, ended, b"y"))
    waiting = [asyncio.create_task(one(number, LARGE)) for number in (2, 3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await read_body(request(b"x" * SMALL_BYTES), room) == b"x" * SMALL_BYTES
    with pytest.raises(NoRoom):
        await read_body(request(LARGE), room)
    assert order == []
    ended.set()
    await asyncio.gather(first, *waiting)
    assert order == [1, 2, 3]


async def test_room_is_given_back_however_a_body_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    room = BodyRoom(at_once=1, waiting=0)
    monkeypatch.setattr("ingress.bodies.READ_SECONDS", 0.05)
    with pytest.raises(TimeoutError):
        await read_body(request(LARGE, asyncio.Event()), room)
    with pytest.raises(BodyTooLarge):
        await read_body(request(LARGE, b"x" * MAX_BODY_BYTES), room)
    assert await read_body(request(LARGE), room) == LARGE
