"""``python -m notifier.resume [TENANT] [--by WHO]``: undoes a pause; what waited leaves as it becomes due."""

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import command, orders
from notifier.pause import arguments
from shared.runtime.clock import utc_now


def main() -> None:
    options = arguments("python -m notifier.resume", __doc__)

    async def go_on(engine: AsyncEngine) -> str:
        await command.must_be_known(engine, options.tenant)
        done = await orders.resume(engine, options.tenant, options.by, utc_now())
        what = options.tenant or "everything"
        return f"{what} goes on, says {options.by}" if done else f"{what} was not paused"

    command.run(go_on)


if __name__ == "__main__":
    main()
