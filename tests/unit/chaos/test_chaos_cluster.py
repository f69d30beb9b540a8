"""Several nodes: who gets the next connection, and what a listing says of the queues' members."""

import asyncio
import contextlib
import json
from random import Random

from chaos.balancer import Balancer
from chaos.cluster import Queue, queues_of
from chaos.proxy import HOST, Link


def test_connections_are_dealt_out_in_turn_among_the_living() -> None:
    balancer = Balancer([1, 2, 3])
    assert [list(balancer.route()) for _ in range(3)] == [[2, 3, 1], [3, 1, 2], [1, 2, 3]]
    balancer.alive = frozenset({1, 3})
    assert list(balancer.route()) == [3, 1]
    balancer.alive = frozenset()
    assert list(balancer.route()) == []


def test_a_classic_queue_has_itself_and_no_leader() -> None:
    listing = [
        {"name": "q", "leader": "a@localhost", "members": ["a@localhost", "b@localhost"], "online": ["a@localhost"]},
        {"name": "c", "leader": "", "members": "", "online": ""},
    ]
    assert queues_of(json.dumps(listing)) == [Queue("q", "a@localhost", 2, 1), Queue("c", "", 1, 1)]


async def test_a_routed_link_tries_the_next_node_and_refuses_when_there_is_none() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"AMQP")
        writer.close()

    server = await asyncio.start_server(greet, HOST, 0)
    nobody = await asyncio.start_server(greet, HOST, 0)
    ports = [each.sockets[0].getsockname()[1] for each in (nobody, server)]
    nobody.close()
    await nobody.wait_closed()
    link = await Link("a>b", 0, Random(1), route=lambda: ports).start()
    try:
        reader, writer = await asyncio.open_connection(HOST, link.port)
        assert await reader.read() == b"AMQP"
        writer.close()
        ports.clear()
        reader, writer = await asyncio.open_connection(HOST, link.port)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
    finally:
        await link.stop()
        server.close()
