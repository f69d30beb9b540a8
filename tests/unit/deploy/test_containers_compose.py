"""The compose file, held to what the services declare and to what is kept from them."""

import re
from typing import Any

import pytest
import yaml

from deploy.containers.holders import USERS, files_of_holders
from deploy.environment import merge
from deploy.paths import ROOT
from deploy.services import SERVICES, ServiceKind
from shared.settings.base import SECRETS_DIR, declared_variables, unknown_variable, variable

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
SANDBOX_ENV = dict(
    line.split("=", 1) for line in (ROOT / "deploy/compose/sandbox.env").read_text().splitlines() if "=" in line
)
MADE = files_of_holders(dict.fromkeys(USERS, "p"), {"DUEBELL_TOKEN_KEYS": "k", "DUEBELL_ADMIN_SECRET": "s"})
# These are mounted or published by compose, and keep their defaults inside.
_PLACED = {"DUEBELL_POLICY_FILE", *(kind.port_variable for kind in SERVICES)}


@pytest.mark.parametrize("kind", SERVICES, ids=lambda kind: kind.name)
def test_a_service_gets_all_it_declares_and_nothing_else(kind: ServiceKind) -> None:
    declared = declared_variables(kind.settings)
    given = CONTAINERS[kind.name]["environment"].keys() - {SECRETS_DIR}
    assert given <= declared
    made = {name.upper() for name in MADE[kind.name]}
    assert declared == (given | made | (_PLACED & declared))


@pytest.mark.parametrize("kind", SERVICES, ids=lambda kind: kind.name)
def test_what_nobody_can_make_is_asked_for(kind: ServiceKind) -> None:
    required = {variable(name) for name, field in kind.settings.model_fields.items() if field.is_required()}
    for name in required - {made.upper() for made in MADE[kind.name]}:
        assert CONTAINERS[kind.name]["environment"][name].startswith(f"${{{name}:?"), name


@pytest.mark.parametrize("kind", SERVICES, ids=lambda kind: kind.name)
def test_a_service_runs_confined_and_comes_back(kind: ServiceKind) -> None:
    container = CONTAINERS[kind.name]
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["read_only"] is True
    assert container["restart"] == "unless-stopped"
    assert str(kind.default_port) in container["healthcheck"]["test"]
    assert container["command"] == [kind.module]
    assert [mount for mount in container["volumes"] if isinstance(mount, str)] == [
        f"{kind.name}-secrets:/run/duebell:ro"
    ]


def test_only_what_cannot_be_scaled_has_a_port_on_the_host() -> None:
    published = {name for name, container in CONTAINERS.items() if "ports" in container}
    assert published == {"ingress", "token-broker", "rabbitmq", "sandbox"}
    assert not [name for name, container in CONTAINERS.items() if "container_name" in container]
    for name in ("rabbitmq", "sandbox"):
        assert all(port.startswith("127.0.0.1:") for port in CONTAINERS[name]["ports"])


def test_only_three_services_may_call_out() -> None:
    callers = {name for name, container in CONTAINERS.items() if "outside" in container.get("networks", ())}
    assert callers == {"token-broker", "fetcher", "notifier", "sandbox"}


def test_the_secrets_of_every_container_have_a_place_in_the_image() -> None:
    mounted = {mount.split(":/secrets/")[1] for mount in CONTAINERS["secrets"]["volumes"]}
    assert mounted == {"all", *MADE}
    places = re.findall(r"secrets/([a-z-]+)", (ROOT / "Dockerfile").read_text())
    assert set(places) == mounted


def test_the_sandbox_needs_no_other_variable() -> None:
    ours = merge(SANDBOX_ENV, {})
    assert unknown_variable(ours) is None
    asked = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    assert asked <= ours.keys()
    assert (ROOT / ours["DUEBELL_POLICY_FILE"]).is_file()
