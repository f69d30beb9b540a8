"""``python -m scheduler.schedule [--json]``: what is next for each organisation, and when."""

import argparse
import asyncio
import sys

from redis.exceptions import RedisError

from scheduler.adapters.claims import RedisClaims
from scheduler.adapters.pace import RedisPace
from scheduler.adapters.time_zones import RedisTimeZones
from scheduler.forecast import document, due_now, schedule, table
from scheduler.settings import SchedulerSettings
from shared.clients.token_broker import open_token_broker_client
from shared.errors import ConfigurationError, DuebellError
from shared.policy_file import load_policy
from shared.runtime.connection import open_connection
from shared.runtime.redis import create_redis
from shared.settings.base import load_settings


async def answer(settings: SchedulerSettings, *, as_json: bool) -> str:
    """What is next, as text. Raises RetryableError or RedisError when nobody can tell."""
    policy = load_policy(settings.policy_file)
    async with (
        open_connection(settings.amqp_url.get_secret_value(), "scheduler.schedule") as connection,
        open_token_broker_client(connection) as token_broker,
    ):
        connections = (await token_broker.connections()).connections
    async with create_redis(settings.redis_url.get_secret_value()) as redis:
        claims = RedisClaims(redis)
        now, zones, until = (
            await claims.now(),
            await RedisTimeZones(redis).all(),
            await RedisPace(redis).quickened_until(),
        )
        done = await claims.are_done(due_now(connections, zones, policy, now, until))
    rows = schedule(connections, zones, policy, now, until, done)
    return document(rows, now, until) if as_json else table(rows, now, until)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scheduler.schedule", description=__doc__)
    parser.add_argument("--json", action="store_true", help="a JSON object with stable keys")
    as_json = parser.parse_args().json
    try:
        said = asyncio.run(answer(load_settings(SchedulerSettings), as_json=as_json))
    except ConfigurationError as error:
        sys.stderr.write(f"scheduler: {error}\n")
        sys.exit(2)
    except (DuebellError, RedisError) as error:
        sys.stderr.write(f"scheduler: the schedule is not known: {error}\n")
        sys.exit(1)
    sys.stdout.write(f"{said}\n")


if __name__ == "__main__":
    main()
