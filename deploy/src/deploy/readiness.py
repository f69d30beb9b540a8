"""What a process says of itself when asked in its own protocol."""

import socket

import httpx

from deploy.ports import LOOPBACK
from deploy.record import Row
from deploy.servers.broker import answers_amqp

_WORDS = {"STARTING": "starting", "BACKOFF": "restarting", "EXITED": "restarting", "STOPPING": "stopping"}


def state_of(supervised: str, row: Row) -> str:
    """One word: ready, unready, starting, restarting, stopping or stopped."""
    if supervised != "RUNNING":
        return _WORDS.get(supervised, "stopped")
    return "ready" if is_ready(row) else "unready"


def is_ready(row: Row) -> bool:
    """A service by ``/readyz``, RabbitMQ by its handshake, others by whether they listen."""
    if not row.is_server:
        return _is_ok(f"{row.url}/readyz")
    if row.service == "rabbitmq":
        return answers_amqp(LOOPBACK, row.port)
    return _listens(row.port)


def _is_ok(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2):
            return True
    except OSError:
        return False
