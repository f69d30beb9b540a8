"""``python -m notifier.pause [TENANT] [--by WHO]``: stops messages within two seconds and drops none."""

import argparse

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import command, orders
from shared.runtime.clock import utc_now


def main() -> None:
    options = arguments("python -m notifier.pause", __doc__)

    async def stop(engine: AsyncEngine) -> str:
        await command.must_be_known(engine, options.tenant)
        done = await orders.pause(engine, options.tenant, options.by, utc_now())
        what = options.tenant or "everything"
        return f"{what} is paused by {options.by}" if done else f"{what} was paused already"

    command.run(stop)


def arguments(program: str, description: str | None) -> argparse.Namespace:
    """``tenant`` (None: all) and ``by``, who says so."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("tenant", nargs="?", help="the organisation's tenant id; all of them without")
    parser.add_argument(
        "--by", default=orders.whoever_runs_this(), help="who says so; the user of this machine without"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
