"""Which processes an installation consists of, and which variables each of them gets."""

import base64
import secrets
from collections.abc import Mapping, Set
from pathlib import Path

from deploy import doubles
from deploy.errors import StackError
from deploy.files import read_table, write_table
from deploy.paths import ROOT
from deploy.ports import LOOPBACK
from deploy.program import Program
from deploy.servers.private import PrivateServers
from deploy.services import SERVICES, ServiceKind, service_program
from shared.errors import ConfigurationError
from shared.policy_file import load_policy
from shared.settings.base import variable
from shared.settings.groups import PolicySettings

AMQP = "DUEBELL_AMQP_URL"
REDIS = "DUEBELL_REDIS_URL"
POLICY = "DUEBELL_POLICY_FILE"


class Installation:
    """The services, and the sandbox when wished, as programs.

    Args:
        given: the ``DUEBELL_`` variables that the operator gave.
        servers: the private ones; their addresses fill in for server addresses that were not given.
        machine: what every process gets of the machine's own environment.
        running: names of the programs that run now, which keep their ports.
    """

    def __init__(
        self,
        folder: Path,
        given: Mapping[str, str],
        servers: PrivateServers,
        machine: Mapping[str, str],
        running: Set[str],
        *,
        fixed_ports: bool,
    ) -> None:
        self._folder = folder
        self._given = dict(given)
        self._servers = servers
        self._machine = dict(machine)
        self._running = running
        self._fixed_ports = fixed_ports

    @property
    def amqp_admin_url(self) -> str:
        return self._given.get(AMQP) or self._servers.broker.amqp_url()

    @property
    def redis_admin_url(self) -> str:
        return self._given.get(REDIS) or self._servers.redis.url()

    def service_programs(self, scale: Mapping[str, int], *, sandbox_url: str = "") -> list[Program]:
        """Every replica of every service, with the ports they are to listen on.

        Raises:
            StackError: a port that was asked for is taken.
        """
        ports = {
            (kind.name, replica): self._port(kind, replica)
            for kind in SERVICES
            for replica in range(1, scale[kind.name] + 1)
        }
        broker_port = ports.get(("token-broker", 1), 0)
        variables = self._variables(sandbox_url, f"http://{LOOPBACK}:{broker_port}")
        return [
            service_program(kind, replica, ports[kind.name, replica], self._of(kind, variables), self._machine)
            for kind in SERVICES
            for replica in range(1, scale[kind.name] + 1)
        ]

    def check(self, scale: Mapping[str, int], *, sandbox: bool) -> None:
        """Before anything is installed or started.

        Raises:
            StackError: variables are missing, or the policy is wrong.
        """
        variables = self._variables("http://sandbox" if sandbox else "", "")
        check_required({kind: variables for kind in SERVICES if scale[kind.name]})
        try:
            load_policy(ROOT / variables.get(POLICY, PolicySettings.model_fields["policy_file"].default))
        except ConfigurationError as error:
            raise StackError(str(error)) from None

    def sandbox_program(self) -> Program:
        wish = doubles.DEFAULT_PORT if self._fixed_ports else None
        self._servers.ports.assign({"sandbox-1": wish}, self._running)
        return doubles.sandbox_program(self._servers.ports["sandbox-1"], self._machine)

    def _of(self, kind: ServiceKind, variables: Mapping[str, str]) -> dict[str, str]:
        own = dict(variables)
        if AMQP not in own:
            own[AMQP] = self._servers.broker.amqp_url(kind.name)
        if REDIS not in own:
            own[REDIS] = self._servers.redis.url(kind.name)
        return own

    def _variables(self, sandbox_url: str, token_broker_url: str) -> dict[str, str]:
        variables = {**self._databases(), **self._given}
        return doubles.sandbox_variables(variables, sandbox_url, token_broker_url) if sandbox_url else variables

    def _databases(self) -> dict[str, str]:
        data = self._folder / "data"
        return {
            "DUEBELL_TOKEN_BROKER_DATABASE_URL": f"sqlite:///{data / 'token-broker.db'}",
            "DUEBELL_NOTIFIER_DATABASE_URL": f"sqlite:///{data / 'notifier.db'}",
        }

    def _port(self, kind: ServiceKind, replica: int) -> int:
        name = f"{kind.name}-{replica}"
        wish = self._wish(kind) if replica == 1 else None
        return self._servers.ports.claim(name, wish, is_ours=name in self._running)

    def _wish(self, kind: ServiceKind) -> int | None:
        given = self._given.get(kind.port_variable)
        if given is None:
            return kind.default_port if self._fixed_ports else None
        if not given.isdecimal() or int(given) > 65_535:
            raise StackError(f"{kind.port_variable} should be a port number, or 0 for any free one")
        return int(given) or None


def check_required(variables: Mapping[ServiceKind, Mapping[str, str]]) -> None:
    """Raises :class:`StackError` with one line per service that lacks variables."""
    lines = []
    for kind, known in variables.items():
        required = {variable(name) for name, field in kind.settings.model_fields.items() if field.is_required()}
        if missing := sorted(required - known.keys()):
            lines.append(f"{kind.name}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    if lines:
        raise StackError("these variables must be set, in .env or in the environment:", tuple(lines))


def trial_secrets(path: Path) -> dict[str, str]:
    """Keys of our own for an installation that only talks to the sandbox, made once and kept with mode 0600."""
    known = read_table(path)
    made = {
        "DUEBELL_TOKEN_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "DUEBELL_ADMIN_SECRET": secrets.token_urlsafe(32),
        "DUEBELL_ERASURE_KEY": secrets.token_urlsafe(32),
    }
    if made.keys() - known.keys():
        known = {**made, **known}
        write_table(path, known)
    return known
