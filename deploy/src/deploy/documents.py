"""Writes what is made from code: schemas, the message map, the configuration page and ``.env.example``.

``python -m deploy.documents`` writes them; a test holds the committed ones to what this makes.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from deploy.paths import ROOT
from deploy.template_previews import template_previews
from fetcher.settings import FetcherSettings
from ingress.settings import IngressSettings
from notifier.settings import NotifierSettings
from scheduler.settings import SchedulerSettings
from shared.contracts import EVENTS, Event
from shared.contracts.base import Contract
from shared.contracts.tokens import (
    ConnectionsList,
    ConnectionsListRequest,
    TokenAccessRequest,
    TokenGranted,
    TokenRefused,
)
from shared.runtime.outcomes import OUTAGE_SECONDS
from shared.runtime.suspects import CONSUMER_LOST, SUSPECT_AFTER
from shared.settings.base import ServiceSettings, variable
from shared.topology import exchanges, lanes, queues
from shared.topology.delays import LADDER, MAX_ATTEMPTS
from shared.topology.lanes import Lane
from shared.topology.permissions import permissions
from token_broker.settings import TokenBrokerSettings

SETTINGS: dict[str, type[ServiceSettings]] = {
    "ingress": IngressSettings,
    "token-broker": TokenBrokerSettings,
    "fetcher": FetcherSettings,
    "scheduler": SchedulerSettings,
    "notifier": NotifierSettings,
}
_RPC: tuple[tuple[str, type[Contract]], ...] = (
    ("token.access.request", TokenAccessRequest),
    ("token.access.granted", TokenGranted),
    ("token.access.refused", TokenRefused),
    ("connections.list.request", ConnectionsListRequest),
    ("connections.list.answer", ConnectionsList),
)
_GENERATED = "<!-- made by `make docs`; edit the code it describes -->"


def documents() -> dict[str, str]:
    """Path from the root → text."""
    return {
        **{f"docs/schemas/{name}.json": text for name, text in _schemas()},
        "docs/messaging.md": _messaging(),
        "docs/configuration.md": _configuration(),
        "docs/templates.md": template_previews(_GENERATED),
        ".env.example": _env_example(),
    }


def _schemas() -> Iterator[tuple[str, str]]:
    events: list[tuple[str, type[Contract]]] = [(event.key, event) for event in EVENTS]
    for name, model in [*events, *_RPC]:
        yield name, json.dumps(model.model_json_schema(mode="serialization"), indent=2, sort_keys=True) + "\n"


def _consumers(event: type[Event]) -> str:
    found = [queue.name for queue in queues.QUEUES if queue.key == event.key]
    return ", ".join(f"`{name}`" for name in found) or "whoever binds a queue"


def _producers(key: str) -> str:
    return ", ".join(
        service for service, rights in permissions().items() if key in _keys(rights.topic.get(exchanges.EVENTS, ""))
    )


def _keys(pattern: str) -> list[str]:
    return pattern.removeprefix("^(").removesuffix(")$").replace("\\", "").split("|")


def _messaging() -> str:
    rows = [
        f"| [`{event.key}`](schemas/{event.key}.json) | {_producers(event.key)} | {_consumers(event)} "
        f"| {_first_line(event)} |"
        for event in EVENTS
    ]
    ladder = " → ".join(f"{rung.seconds} s" for rung in LADDER)
    dead = ", ".join(f"`{queues.dead_queue(service)}`" for service in queues.SERVICES)
    return "\n".join(
        [
            "# Messages",
            "",
            _GENERATED,
            "",
            f"Events travel on the topic exchange `{exchanges.EVENTS}`, persistent, mandatory and confirmed.",
            "The version is in the routing key, the class name and the schema; a breaking change is a new key and",
            "queue beside the old.",
            "The AMQP properties carry message id, correlation id, type, app id and time.",
            "",
            "| routing key | from | queue | says |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            *_lanes(),
            "",
            f"Questions travel on `{exchanges.RPC}`: `{TokenAccessRequest.key}` and `{ConnectionsListRequest.key}`,",
            "answered to the caller's direct reply address. Their queues forget a question after",
            f"{queues.RPC_TTL_MS // 1000} s.",
            "",
            "## When a message cannot be handled",
            "",
            f"A passing fault goes down the ladder {ladder},",
            f"at most {MAX_ATTEMPTS} attempts, counted in the `x-attempt` header.",
            "A remote that says when to come back is taken at its word. A limit or a held tenant uses up no attempt,",
            f"nor does a remote that goes on failing, for {OUTAGE_SECONDS / 3600:.0f} hours.",
            f"What is exhausted, permanent or unreadable waits in {dead}",
            "with the headers `x-reason`, `x-source-queue`, `x-attempt` and `x-first-seen`.",
            "`make dlq-list` shows it, `make dlq-replay Q=…` sends it back.",
            "",
            "A message whose handling ends its process comes back at once, with all that the process held. What has",
            f"come back {SUSPECT_AFTER} times goes down the ladder as `{CONSUMER_LOST}`, with a pause of its own,",
            "and then after each further death, so that the others are not held up. What comes off the ladder is",
            "handled apart from its like and in an order that changes, so that only the one who kills reaches the end.",
            f"RabbitMQ's own limit, {queues.DELIVERY_LIMIT} returns",
            "(`delivery_limit`), is a fuse behind it.",
            "",
            f"Every work queue holds at most {queues.MAX_LENGTH:,} messages and then refuses; a refused publish is an",
            "error at its sender. Every queue is a quorum queue; work and delay queues dead-letter at least once.",
            "",
        ]
    )


def _lanes() -> list[str]:
    keys = ", ".join(f"`{key}`" for key in queues.LANED_KEYS)
    bulk = ", ".join(f"`{queue.name}`" for queue in queues.QUEUES if queue.lane is Lane.BULK)
    return [
        f"Of {keys} a sender may say by the header `{lanes.HEADER}: {Lane.BULK}` that nothing is to wait behind it:",
        f"`{exchanges.LANES}` hands it to {bulk}, and all else through `{exchanges.HOT_LANE}` to the other",
        "queue. Whoever binds a queue to the key sees both.",
    ]


def _first_line(model: type[Contract]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def _configuration() -> str:
    rows = [
        f"| `{variable(name)}` | {', '.join(services)} | {_default(field)} | {field.description or ''} |"
        for name, field, services in _fields()
    ]
    return "\n".join(
        [
            "# Configuration",
            "",
            _GENERATED,
            "",
            "Environment variables, or files of the same name in lower case in the folder `DUEBELL_SECRETS_DIR`.",
            "A missing or misspelt variable stops the start with one line that names it.",
            "",
            "| variable | read by | default | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "The policy file (`DUEBELL_POLICY_FILE`) is described in [config/policy.yaml](../config/policy.yaml).",
            "",
        ]
    )


def _env_example() -> str:
    lines = [
        "# Every variable of Duebell. Copy to .env and fill in what has no default; made by `make docs`.",
        "# What is commented out shows its default.",
    ]
    for name, field, services in _fields():
        lines += ["", f"# {field.description or ''} ({', '.join(services)})"]
        needed = field.is_required()
        lines.append(f"{variable(name)}=" if needed else f"# {variable(name)}={_plain_default(field)}")
    return "\n".join(lines) + "\n"


def _fields() -> Iterator[tuple[str, FieldInfo, list[str]]]:
    names = sorted({name for settings in SETTINGS.values() for name in settings.model_fields})
    for name in names:
        readers = [service for service, settings in SETTINGS.items() if name in settings.model_fields]
        yield name, SETTINGS[readers[0]].model_fields[name], readers


def _default(field: FieldInfo) -> str:
    return "**required**" if field.is_required() else f"`{_plain_default(field)}`"


def _plain_default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return " ".join(value) if isinstance(value, tuple) else str(value if value is not None else "")


def write(root: Path = ROOT) -> int:
    """Write what has changed; how many files did."""
    changed = 0
    for name, text in documents().items():
        path = root / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            changed += 1
    return changed


if __name__ == "__main__":
    sys.stdout.write(f"{write()} files written\n")
