"""Asks for one scan now: ``python -m scheduler.request scan|reconcile TENANT``."""

import asyncio
import sys
from datetime import UTC

from redis.exceptions import RedisError

from scheduler.adapters.time_zones import RedisTimeZones
from scheduler.due import request_of
from scheduler.settings import SchedulerSettings
from shared.clients.token_broker import open_token_broker_client
from shared.contracts.scans import ScanKind
from shared.errors import ConfigurationError, DuebellError
from shared.policy_file import load_policy
from shared.runtime.clock import utc_now
from shared.runtime.connection import open_connection
from shared.runtime.publisher import open_publisher
from shared.runtime.redis import create_redis
from shared.settings.base import load_settings

_KINDS = {"scan": ScanKind.RECEIVABLES, "reconcile": ScanKind.RECONCILE}


async def ask(settings: SchedulerSettings, kind: ScanKind, tenant_id: str) -> str:
    """Publish the request, confirmed; one line that says what was asked.

    Raises ConfigurationError for an organisation that is not connected, RetryableError when nobody can tell.
    """
    policy = load_policy(settings.policy_file)
    async with create_redis(settings.redis_url.get_secret_value()) as redis:
        zone = (await RedisTimeZones(redis).all()).get(tenant_id, UTC)
    request = request_of(tenant_id, kind, utc_now().astimezone(zone).date(), policy)
    async with (
        open_connection(settings.amqp_url.get_secret_value(), "scheduler.request") as connection,
        open_publisher(connection, "scheduler.request") as events,
        open_token_broker_client(connection) as token_broker,
    ):
        connected = {connection.tenant_id for connection in (await token_broker.connections()).connections}
        if tenant_id not in connected:
            raise ConfigurationError(f"{tenant_id} is not a connected organisation; these are: {_listed(connected)}")
        await events.publish(request, deadline=10)
    until = f", due before {request.due_before}" if request.due_before else ""
    return f"asked for {kind} of {tenant_id}, {request.local_date}{until}"


def _listed(tenants: set[str]) -> str:
    return ", ".join(sorted(tenants)) or "none"


def main() -> None:
    match sys.argv[1:]:
        case [word, tenant_id] if word in _KINDS and tenant_id:
            kind = _KINDS[word]
        case _:
            sys.exit("say: python -m scheduler.request scan|reconcile TENANT")
    try:
        sys.stdout.write(asyncio.run(ask(load_settings(SchedulerSettings), kind, tenant_id)) + "\n")
    except ConfigurationError as error:
        sys.exit(f"scheduler: {error}")
    except (DuebellError, RedisError) as error:
        sys.exit(f"scheduler: the request could not be published: {error}")


if __name__ == "__main__":
    main()
