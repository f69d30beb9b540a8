"""Gives each service its users, rights and databases, and declares the topology: ``python -m deploy.containers.setup``.

It runs at every start and changes nothing that is already so.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import sqlalchemy as sa

from deploy.containers.databases import set_databases
from deploy.containers.holders import DATABASES, of_server, postgres_url
from deploy.files import read_table
from deploy.passwords import ADMINISTRATOR
from deploy.servers.broker import VHOST, amqp_url, answers_amqp
from deploy.servers.management import Management
from deploy.waiting import wait_until
from shared.errors import ConfigurationError
from shared.runtime.database import create_engine
from shared.settings.base import SECRETS_DIR
from shared.topology.declare import declare
from shared.topology.permissions import permissions

_READY_SECONDS = 180


def main() -> None:
    """Exit code 1 and one line when a server does not answer or refuses."""
    passwords = read_table(Path(os.environ[SECRETS_DIR]) / "passwords.json")
    try:
        set_up_broker(of_server("rabbitmq", passwords))
        asyncio.run(set_up_databases(of_server("postgres", passwords)))
    except ConfigurationError as error:
        sys.exit(f"setup: {error}")
    except (httpx.HTTPError, sa.exc.DBAPIError, OSError) as error:
        # Their messages may hold statements or addresses with passwords.
        sys.exit(f"setup: a server refused or went away: {type(error).__name__}")


def set_up_broker(passwords: Mapping[str, str]) -> None:
    """Users with the least rights, then exchanges, queues and bindings."""
    administrator = passwords[ADMINISTRATOR]
    with Management("http://rabbitmq:15672", ADMINISTRATOR, administrator) as management:
        if not wait_until(lambda: answers_amqp("rabbitmq", 5672) and management.is_ready(), _READY_SECONDS):
            raise ConfigurationError(f"RabbitMQ did not get ready within {_READY_SECONDS} s")
        for service, rights in permissions().items():
            management.set_user(service, passwords[service])
            management.set_rights(VHOST, service, rights)
    asyncio.run(declare(amqp_url(ADMINISTRATOR, administrator, "rabbitmq:5672", VHOST)))


async def set_up_databases(passwords: Mapping[str, str]) -> None:
    """One database and one owner per service; nobody else may enter."""
    engine = create_engine(postgres_url("postgres", passwords[ADMINISTRATOR], "postgres"))
    try:
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await set_databases(connection, {database: passwords[service] for service, database in DATABASES.items()})
    finally:
        await engine.dispose()


if __name__ == "__main__":
    main()
