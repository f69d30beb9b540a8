"""``python -m fetcher.forget [--yes|--readmit]``: drops an erased person from the cache of contacts.

Reads from standard input what ``notifier.erase --for-others`` writes, and without ``--yes`` only counts.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from redis.exceptions import RedisError

from fetcher.adapters.contact_cache import RedisContactCache
from shared.errors import ConfigurationError, DuebellError
from shared.runtime.redis import create_redis
from shared.settings.base import load_settings
from shared.settings.groups import RedisSettings


async def forget(url: str, tenants: Sequence[str], contacts: Sequence[str], *, really: bool, readmit: bool) -> int:
    """How many contacts were kept. Raises RetryableError."""
    kept = 0
    async with create_redis(url) as redis:
        cache = RedisContactCache(redis)
        for tenant_id in tenants if contacts else ():
            kept += await cache.erase(tenant_id, contacts, really=really)
            if readmit:
                await cache.readmit(tenant_id, contacts)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fetcher.forget", description=__doc__)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--yes", action="store_true", help="do it; without, it is only counted")
    way.add_argument("--readmit", action="store_true", help="keep the contact again")
    options = parser.parse_args()
    try:
        told = json.load(sys.stdin)
        url = load_settings(RedisSettings).redis_url.get_secret_value()
        work = forget(url, told["tenants"], told["contacts"], really=options.yes, readmit=options.readmit)
        kept = asyncio.run(work)
    except ConfigurationError as error:
        sys.exit(f"fetcher: {error}")
    except (ValueError, KeyError, TypeError):
        sys.exit("fetcher: what came on standard input is not what notifier.erase writes")
    except (DuebellError, RedisError) as error:
        sys.exit(f"fetcher: the contacts could not be dropped: {type(error).__name__}")
    sys.stdout.write(f"fetcher's cache: {kept} contacts {'dropped' if options.yes else 'kept'}\n")


if __name__ == "__main__":
    main()
