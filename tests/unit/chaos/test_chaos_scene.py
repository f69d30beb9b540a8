"""What the scene says of the installation before anything is judged."""

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaos.scene import Scene
from deploy.record import Row


@pytest.mark.parametrize("listens", [True, False])
async def test_it_is_ready_when_everybody_answers_and_not_otherwise(listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not listens:
            server.close()
        rows = [Row("redis-1", "redis", 1, port, "", is_server=True)]
        scene = SimpleNamespace(stack=SimpleNamespace(record=SimpleNamespace(rows=rows)), cluster=None)
        assert await Scene.ready(cast(Any, scene), 0.2) is listens
