"""A private Redis: its files, its process, its addresses."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import redis

from deploy.files import private_folder, write_private
from deploy.passwords import ADMINISTRATOR, redis_hash
from deploy.ports import LOOPBACK, PortBook
from deploy.program import Program

PORTS = {"redis": 20679}

COMMANDS = (
    *("ping", "time", "exists", "get", "mget", "set", "del", "expire", "pexpire", "ttl", "pttl"),
    *("hget", "hset", "hsetnx", "hdel", "hgetall", "hincrby"),
    *("zadd", "zcard", "zcount", "zrange", "zrangebyscore", "zrem", "zremrangebyscore", "zscore"),
    *("evalsha", "script|exists", "script|load"),
)
"""All that a service may say: each names its keys, so that none can look at, or reach, the keys of another."""


class PrivateRedis:
    """Lives in ``folder``. Each of ``services`` reaches only keys that begin with ``duebell:‹service›:``."""

    def __init__(
        self, folder: Path, program: Path, ports: PortBook, passwords: dict[str, str], services: Iterable[str] = ()
    ) -> None:
        self._folder = folder
        self._program = program
        self._ports = ports
        self._passwords = passwords
        self._services = tuple(services)

    def url(self, user: str = ADMINISTRATOR, database: int = 0) -> str:
        password = quote(self._passwords[user], safe="")
        return f"redis://{quote(user, safe='')}:{password}@{LOOPBACK}:{self._ports['redis']}/{database}"

    def programs(self) -> list[Program]:
        """Write the server's files and describe its process."""
        private_folder(self._folder)
        users = render_users(self._passwords, self._services)
        config = render_config(self._folder, self._ports["redis"])
        write_private(self._folder / "users.acl", users)
        write_private(self._folder / "redis.conf", config)
        server = Program(
            service="redis",
            replica=1,
            argv=(str(self._program), str(self._folder / "redis.conf")),
            environment={"LC_ALL": "C.UTF-8"},
            directory=self._folder,
            is_server=True,
            rank=10,
            open_files=20_000,
            revision=hashlib.sha256((config + users).encode()).hexdigest(),
            port=self._ports["redis"],
        )
        return [server]

    def is_ready(self) -> bool:
        client = redis.Redis.from_url(self.url(), socket_timeout=2)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def render_config(folder: Path, port: int) -> str:
    """Loopback only; nothing is evicted, because a lost limiter entry would let a call too many through."""
    return "\n".join(
        [
            f"bind {LOOPBACK}",
            f"port {port}",
            "protected-mode yes",
            "daemonize no",
            f'dir "{folder}"',
            f'aclfile "{folder / "users.acl"}"',
            "databases 256",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
            "",
        ]
    )


def render_users(passwords: dict[str, str], services: Iterable[str]) -> str:
    """An ACL file: the administrator, each service with :data:`COMMANDS` on its own keys, and nobody else.

    The default user has every right and no password, so that nobody can be it. Redis reads its own file back as that
    user: were it off, everything that scripts had written would be refused at a restart, and the limiters would begin
    anew.
    """
    allowed = " ".join(f"+{command}" for command in COMMANDS)
    lines = [
        "user default on resetpass ~* &* +@all",
        f"user {ADMINISTRATOR} on {redis_hash(passwords[ADMINISTRATOR])} ~* &* +@all",
    ]
    lines += [
        f"user {service} on {redis_hash(passwords[service])} resetchannels ~duebell:{service}:* -@all {allowed}"
        for service in services
    ]
    return "\n".join(lines) + "\n"
