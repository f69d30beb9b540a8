"""How long a connection may take for what, and who is ended when there are too many."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chaos.attacks.wire import Wire, ask
from shared.runtime import connections
from shared.runtime.connections import LIMITS
from shared.runtime.web import WebServer
from support.waiting import eventually

HEAD = b"POST /read HTTP/1.1\r\nhost: x\r\n"
WHOLE = HEAD + b"content-length: 1\r\n\r\nx"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
LONG = 20.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_SWEEP_SECONDS", 0.05)
    monkeypatch.setattr("shared.runtime.early_answers.LINGERS", 0.1)
    for stage in LIMITS:
        monkeypatch.setitem(LIMITS, stage, 3 * LONG)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in LIMITS:
        monkeypatch.setitem(LIMITS, stage, 1.0)


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    release = asyncio.Event()

    async def read(request: Request) -> Response:
        await request.body()
        return Response()

    async def unread(_: Request) -> Response:
        return Response(status_code=413)

    async def wait(_: Request) -> Response:
        await release.wait()
        return Response()

    async def plenty(_: Request) -> Response:
        release.set()
        return PlainTextResponse("x" * 4_000_000)

    server = WebServer(
        [
            *(Route(f"/{one.__name__}", one, methods=["POST"]) for one in (read, unread, wait)),
            Route("/plenty", plenty),
        ],
        "127.0.0.1",
        0,
    )
    await server.start()
    yield server
    release.set()
    await server.drain()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "said",
    [b"", HEAD, HEAD + b"content-length: 5\r\n\r\nx", CHUNKED],
    ids=["nothing", "half a head", "half a body", "no chunk"],
)
async def test_who_leaves_off_is_thrown_out(server: WebServer, said: bytes) -> None:
    async with Wire(server.port) as wire:
        await wire.send(said)
        assert await wire.closed(LONG)


@pytest.mark.usefixtures("impatient")
async def test_half_a_second_request_is_no_better(server: WebServer) -> None:
    async with Wire(server.port) as wire:
        await wire.send(WHOLE)
        assert (await wire.answer(LONG)).status == 200
        await wire.send(HEAD)
        assert await wire.closed(LONG)


@pytest.mark.usefixtures("impatient")
async def test_who_is_answered_too_early_may_read_it_and_is_thrown_out(server: WebServer) -> None:
    async with Wire(server.port) as wire:
        await wire.send(b"POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\n\r\n")
        answer = await wire.answer(LONG)
        assert (answer.status, answer.closes) == (413, True)
        assert await wire.closed(LONG)


async def test_who_was_heard_to_the_end_keeps_its_connection(server: WebServer) -> None:
    async with Wire(server.port) as wire:
        for path in (b"/read", b"/unread", b"/nowhere"):
            await wire.send(b"POST " + path + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            assert not (await wire.answer(LONG)).closes


@pytest.mark.usefixtures("impatient")
async def test_who_does_not_read_is_thrown_out(server: WebServer) -> None:
    async with Wire(server.port, window=4096) as wire:
        await wire.send(b"GET /plenty HTTP/1.1\r\nhost: x\r\n\r\n")
        open_ones = server._server.server_state.connections
        await eventually(lambda: open_ones, seconds=LONG)
        await eventually(lambda: not open_ones, seconds=LONG)


@pytest.mark.usefixtures("impatient")
async def test_who_waits_for_us_and_who_is_idle_may_stay(server: WebServer) -> None:
    async with Wire(server.port) as waiting, Wire(server.port) as idle:
        await waiting.send(b"POST /wait HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        await idle.send(WHOLE)
        assert (await idle.answer(LONG)).status == 200
        assert not await idle.closed(2.5)
        await idle.send(b"GET /plenty HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await waiting.answer(LONG)).status == 200


async def test_a_body_in_crumbs_is_refused_and_one_in_pieces_is_not(server: WebServer) -> None:
    pieces = b"".join(b"3e8\r\n" + b"x" * 1000 + b"\r\n" for _ in range(1000)) + b"0\r\n\r\n"
    crumbs = b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n"
    assert (await ask(server.port, [CHUNKED + pieces], LONG)).status == 200
    assert (await ask(server.port, [CHUNKED + crumbs], LONG)).status in {400, None}


@pytest.mark.parametrize(
    "said",
    [HEAD + b"a:\r\n" * 60_000 + b"\r\n", CHUNKED + b"0\r\n" + b"a:\r\n" * 60_000 + b"\r\n"],
    ids=["headers", "trailers"],
)
async def test_a_flood_of_headers_is_refused_however_it_comes(server: WebServer, said: bytes) -> None:
    assert (await ask(server.port, [said], LONG)).status in {400, None}
    # Behind another request it is not even looked at before that one is answered.
    async with Wire(server.port) as wire:
        await wire.send(WHOLE + said)
        assert (await wire.answer(LONG)).status == 200
        assert (await wire.answer(LONG)).status in {400, None}


async def test_requests_that_are_sent_ahead_are_all_answered(server: WebServer) -> None:
    async with Wire(server.port) as wire:
        await wire.send(WHOLE * 2000)
        for _ in range(2000):
            assert (await wire.answer(LONG)).status == 200


async def test_of_what_is_sent_ahead_only_so_much_is_held(server: WebServer) -> None:
    async with Wire(server.port) as wire:
        await wire.send(b"POST /wait HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        flooding = asyncio.create_task(wire.send(WHOLE * 1_000_000))
        await asyncio.wait([flooding], timeout=0.5)
        # The rest is stuck in the sockets, whose size the system decides.
        assert not flooding.done()
        (connection,) = server._server.server_state.connections
        assert len(connection._ahead) < 100  # type: ignore[union-attr]  # it is ours
        flooding.cancel()


async def test_rubbish_after_an_early_answer_gets_no_second_one(server: WebServer) -> None:
    async with Wire(server.port) as wire:
        await wire.send(b"POST /unread HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        assert (await wire.answer(LONG)).status == 413
        await wire.send(b"rubbish\r\n")
        assert (await wire.answer(LONG)).status is None


async def test_when_there_are_too_many_the_longest_idle_make_room_and_who_waits_for_us_stays(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 6)
    monkeypatch.setattr(connections, "MADE_AT_ONCE", 2)
    async with Wire(server.port) as working:
        await working.send(b"POST /wait HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        silent = [await Wire(server.port).__aenter__() for _ in range(5)]
        newest = await Wire(server.port).__aenter__()
        try:
            assert all(await asyncio.gather(*(wire.closed(LONG) for wire in silent[:2])))
            await newest.send(b"GET /plenty HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await newest.answer(LONG)).status == 200
            assert (await working.answer(LONG)).status == 200
            assert not await silent[-1].closed(0.2)
        finally:
            for wire in (*silent, newest):
                await wire.__aexit__(None, None, None)


async def test_a_path_that_is_nearly_one_of_ours_is_not_sent_elsewhere(server: WebServer) -> None:
    answer = await ask(server.port, [b"POST /read/ HTTP/1.1\r\nhost: elsewhere\r\ncontent-length: 0\r\n\r\n"], LONG)
    assert answer.status == 404
