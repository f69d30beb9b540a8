"""What each container may know: passwords and addresses as the files of one folder per container."""

import hashlib
import json
from collections.abc import Mapping
from urllib.parse import quote

from deploy.passwords import ADMINISTRATOR, rabbitmq_hash
from deploy.servers.broker import VHOST, amqp_url
from deploy.servers.cache import render_users
from deploy.services import NAMES, SERVICES
from shared.settings.base import declared_variables

DATABASES = {"token-broker": "token_broker", "notifier": "notifier"}
"""Service → its database in PostgreSQL, and the user that owns it."""

USERS = (
    *(f"rabbitmq/{name}" for name in (ADMINISTRATOR, *NAMES)),
    *(f"redis/{name}" for name in (ADMINISTRATOR, *NAMES)),
    *(f"postgres/{name}" for name in (ADMINISTRATOR, *DATABASES)),
)
"""Server and user; each has a password of its own."""

Files = dict[str, str]


def files_of_holders(passwords: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, Files]:
    """Container → file → text.

    Args:
        passwords: of all :data:`USERS`.
        keys: variables whose values were made for this installation.
    """
    return {
        "rabbitmq": {
            "definitions.json": _definitions(passwords[f"rabbitmq/{ADMINISTRATOR}"]),
            "password": passwords[f"rabbitmq/{ADMINISTRATOR}"],
        },
        "redis": {"users.acl": render_users(of_server("redis", passwords), _redis_users())},
        "postgres": {"password": passwords[f"postgres/{ADMINISTRATOR}"]},
        "setup": {
            "duebell_amqp_url": _amqp(ADMINISTRATOR, passwords),
            "passwords.json": json.dumps({user: passwords[user] for user in USERS if not user.startswith("redis/")}),
        },
        **{kind.name: _own(kind.own({**_addresses(kind.name, passwords), **keys})) for kind in SERVICES},
    }


def of_server(server: str, passwords: Mapping[str, str]) -> dict[str, str]:
    """User → password in one server."""
    prefix = f"{server}/"
    return {user.removeprefix(prefix): word for user, word in passwords.items() if user.startswith(prefix)}


def postgres_url(user: str, password: str, database: str) -> str:
    return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@postgres:5432/{database}"


def _redis_users() -> list[str]:
    return [kind.name for kind in SERVICES if "DUEBELL_REDIS_URL" in declared_variables(kind.settings)]


def _addresses(service: str, passwords: Mapping[str, str]) -> dict[str, str]:
    password = quote(passwords[f"redis/{service}"], safe="")
    found = {
        "DUEBELL_AMQP_URL": _amqp(service, passwords),
        "DUEBELL_REDIS_URL": f"redis://{quote(service, safe='')}:{password}@redis:6379/0",
    }
    if database := DATABASES.get(service):
        url = postgres_url(database, passwords[f"postgres/{service}"], database)
        found[f"DUEBELL_{database.upper()}_DATABASE_URL"] = url
    return found


def _amqp(user: str, passwords: Mapping[str, str]) -> str:
    return amqp_url(user, passwords[f"rabbitmq/{user}"], "rabbitmq:5672", VHOST)


def _own(variables: Mapping[str, str]) -> Files:
    return {name.lower(): value for name, value in variables.items()}


def _definitions(password: str) -> str:
    """The administrator and the virtual host, in place of the guest that RabbitMQ would make."""
    # The salt follows from the password, so that the file is the same at every start.
    salt = hashlib.sha256(f"salt of {password}".encode()).digest()[:4]
    user = {
        "name": ADMINISTRATOR,
        "password_hash": rabbitmq_hash(password, salt),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": ["administrator"],
    }
    rights = {"user": ADMINISTRATOR, "vhost": VHOST, "configure": ".*", "write": ".*", "read": ".*"}
    return json.dumps({"users": [user], "vhosts": [{"name": VHOST}], "permissions": [rights]}, indent=1)
