"""The five services: how each is started and which variables are its own."""

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.paths import PYTHON, ROOT
from deploy.ports import LOOPBACK
from deploy.program import Program
from shared.settings.base import PREFIX, ServiceSettings, declared_variables

_POLICY = "DUEBELL_POLICY_FILE"
_SENDERS = "DUEBELL_SENDERS_FILE"


@dataclass(frozen=True)
class ServiceKind:
    """``name`` as people write it; ``default_port`` is the first replica's."""

    name: str
    default_port: int

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")

    @property
    def port_variable(self) -> str:
        return f"{PREFIX}{self.module.upper()}_PORT"

    @property
    def settings(self) -> type[ServiceSettings]:
        """The service's settings class."""
        name = "".join(word.capitalize() for word in self.name.split("-")) + "Settings"
        found: type[ServiceSettings] = getattr(importlib.import_module(f"{self.module}.settings"), name)
        return found

    def own(self, variables: Mapping[str, str]) -> dict[str, str]:
        """The part of ``variables`` that the service declares."""
        declared = declared_variables(self.settings)
        return {name: value for name, value in variables.items() if name in declared}


SERVICES = (
    ServiceKind("ingress", 8080),
    ServiceKind("token-broker", 8081),
    ServiceKind("fetcher", 8082),
    ServiceKind("scheduler", 8083),
    ServiceKind("notifier", 8084),
)
NAMES = tuple(kind.name for kind in SERVICES)


def service_program(
    kind: ServiceKind, replica: int, port: int, variables: Mapping[str, str], machine: Mapping[str, str]
) -> Program:
    """One replica.

    Args:
        variables: of the whole installation; the service gets those it declares.
        machine: what it needs of the machine's own environment.
    """
    own = kind.own({**variables, kind.port_variable: str(port)})
    return Program(
        service=kind.name,
        replica=replica,
        argv=(str(PYTHON), "-P", "-m", kind.module),
        environment={**machine, "PYTHONUNBUFFERED": "1", **own},
        directory=ROOT,
        is_server=False,
        revision=_revision(kind, own),
        port=port,
        url=f"http://{LOOPBACK}:{port}",
    )


def _revision(kind: ServiceKind, own: Mapping[str, str]) -> str:
    """Changes with the service's code, the shared code, the locked packages, the policy with its packs and rates, and
    the senders.
    """
    digest = hashlib.sha256()
    folders = (ROOT / "shared" / "src", ROOT / "services" / kind.name / "src")
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        digest.update(str(path).encode() + path.read_bytes())
    digest.update(_content(ROOT / "uv.lock"))
    if policy := kind.settings.model_fields.get("policy_file"):
        file = ROOT / own.get(_POLICY, policy.default)
        beside = [path for name in ("packs", "rates") for path in sorted((file.parent / name).glob("*.yaml"))]
        for path in (file, *beside):
            digest.update(_content(path))
    if senders := own.get(_SENDERS):
        digest.update(_content(ROOT / senders))
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
