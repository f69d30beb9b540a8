"""A Redis of a test's own."""

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import Signals

import redis

from deploy.servers import packages
from support.waiting import eventually


class OwnRedis:
    """A Redis that remembers nothing but what it is told to save, to be killed without disturbing anyone."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"
        program = packages.ensure([packages.REDIS], folder / "install.log", print)[packages.REDIS]
        options = {"bind": "127.0.0.1", "port": str(self.port), "save": "", "appendonly": "no", "dir": str(folder)}
        self._command = [str(program), *(part for name, value in options.items() for part in (f"--{name}", value))]
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self.process = await asyncio.to_thread(subprocess.Popen, self._command, stdout=subprocess.DEVNULL)
        await eventually(self._answers, what="Redis")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(Signals.SIGKILL)
            self.process.wait(10)

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


@contextmanager
def own_redis(folder: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(folder)
    try:
        yield server
    finally:
        server.kill()
