"""A private RabbitMQ node: its files, its processes, its addresses."""

import hashlib
import json
import os
import secrets
import socket
import string
from pathlib import Path
from urllib.parse import quote

from deploy.files import private_folder, write_private
from deploy.passwords import ADMINISTRATOR, rabbitmq_hash
from deploy.ports import LOOPBACK, PortBook
from deploy.program import Program

VHOST = "duebell"
PORTS = {"amqp": 20672, "management": 20673, "distribution": 20674, "epmd": 20675, "rabbitmq-metrics": 20676}
"""The ports of a node, with the ones that a long-lived stack prefers."""

_PLUGINS = "[rabbitmq_management,rabbitmq_prometheus,rabbitmq_consistent_hash_exchange]."


class PrivateBroker:
    """Lives in ``folder``; two nodes in two folders share nothing, not even the Erlang port mapper."""

    def __init__(self, folder: Path, script: Path, ports: PortBook, passwords: dict[str, str]) -> None:
        self._folder = folder
        self._script = script
        self._ports = ports
        self._passwords = passwords

    @property
    def management_url(self) -> str:
        return f"http://{LOOPBACK}:{self._ports['management']}"

    def amqp_url(self, user: str = ADMINISTRATOR, vhost: str = VHOST) -> str:
        return amqp_url(user, self._passwords[user], f"{LOOPBACK}:{self._ports['amqp']}", vhost)

    def programs(self) -> list[Program]:
        """Write the node's files and describe its two processes: the node and its port mapper."""
        private_folder(self._folder)
        for name in ("home", "data", "log"):
            private_folder(self._folder / name)
        self._write_cookie()
        config, definitions = self._config(), self._definitions()
        write_private(self._folder / "rabbitmq.conf", config)
        write_private(self._folder / "definitions.json", definitions)
        write_private(self._folder / "enabled_plugins", _PLUGINS + "\n")
        environment = node_environment(self._folder, self._ports)
        epmd = Program(
            service="epmd",
            replica=1,
            argv=("/usr/bin/env", "epmd", "-address", LOOPBACK, "-port", environment["ERL_EPMD_PORT"]),
            environment=environment,
            directory=self._folder,
            is_server=True,
            rank=1,
            port=self._ports["epmd"],
        )
        node = Program(
            service="rabbitmq",
            replica=1,
            argv=(str(self._script),),
            environment=environment,
            directory=self._folder,
            is_server=True,
            rank=10,
            stop_seconds=60,
            open_files=20_000,
            revision=hashlib.sha256((config + _PLUGINS).encode()).hexdigest(),
            port=self._ports["amqp"],
            url=self.management_url,
        )
        return [epmd, node]

    def is_ready(self) -> bool:
        return answers_amqp(LOOPBACK, self._ports["amqp"])

    def _write_cookie(self) -> None:
        cookie = self._folder / "home" / ".erlang.cookie"
        if not cookie.exists():
            write_private(cookie, "".join(secrets.choice(string.ascii_uppercase) for _ in range(24)))
            cookie.chmod(0o400)

    def _config(self) -> str:
        return "\n".join(
            [
                f"management.tcp.ip = {LOOPBACK}",
                f"management.tcp.port = {self._ports['management']}",
                f"prometheus.tcp.ip = {LOOPBACK}",
                f"prometheus.tcp.port = {self._ports['rabbitmq-metrics']}",
                f"load_definitions = {self._folder / 'definitions.json'}",
                "disk_free_limit.absolute = 500MB",
                "log.file = false",
                "log.console = true",
                "log.console.level = info",
                "",
            ]
        )

    def _definitions(self) -> str:
        """The administrator and the virtual host; with a definitions file the node makes no guest user."""
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        user = {
            "name": ADMINISTRATOR,
            "password_hash": rabbitmq_hash(self._passwords[ADMINISTRATOR]),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": "administrator",
        }
        return json.dumps(
            {
                "users": [user],
                "vhosts": [{"name": VHOST}],
                "permissions": [{"user": ADMINISTRATOR, "vhost": VHOST, **everything}],
            },
            indent=1,
        )


def node_environment(folder: Path, ports: PortBook) -> dict[str, str]:
    """All that a node reads from its environment: nothing of the machine's own RabbitMQ is seen."""
    identity = hashlib.sha256(str(folder).encode()).hexdigest()[:10]
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder / "home"),
        "LC_ALL": "C.UTF-8",
        "RABBITMQ_NODENAME": f"duebell-{identity}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(ports["amqp"]),
        "RABBITMQ_DIST_PORT": str(ports["distribution"]),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "no-rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_LOGS": "-",
        # The start script becomes the node, instead of staying as its parent, only when input is allowed.
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_CRASH_DUMP_BYTES": "0",
    }


def amqp_url(user: str, password: str, address: str, vhost: str) -> str:
    """``amqp://user:password@host:port/vhost`` with every part escaped."""
    return f"amqp://{quote(user, safe='')}:{quote(password, safe='')}@{address}/{quote(vhost, safe='')}"


def answers_amqp(host: str, port: int) -> bool:
    """Whether a RabbitMQ that is up speaks there: an open port comes long before the first frame."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.settimeout(2)
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"
    except OSError:
        return False
