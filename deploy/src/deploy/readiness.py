"""What a process says of itself when asked in its own protocol."""

import socket
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from deploy.ports import LOOPBACK
from deploy.record import Row
from deploy.servers.broker import answers_amqp

_WORDS = {
    "RUNNING": "unready",
    "STARTING": "starting",
    "BACKOFF": "restarting",
    "EXITED": "restarting",
    "STOPPING": "stopping",
}


def state_of(supervised: str, row: Row) -> str:
    """One word: ready, unready, starting, restarting, stopping or stopped; ``supervised`` is the supervisor's word."""
    if supervised in {"RUNNING", "STARTING"} and is_ready(row):
        return "ready"
    return _WORDS.get(supervised, "stopped")


def is_ready(row: Row) -> bool:
    """A service by ``/readyz``, RabbitMQ by its handshake, others by whether they listen."""
    if not row.is_server:
        return _is_ok(row.port)
    if row.service == "rabbitmq":
        return answers_amqp(LOOPBACK, row.port)
    return _listens(row.port)


def _is_ok(port: int) -> bool:
    # The standard library's client, because making one of the others costs more than the question.
    connection = HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2):
            return True
    except OSError:
        return False
