"""``python -m notifier.release TENANT``: lets go what is held for an organisation."""

import argparse

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import answers, command
from shared.runtime.clock import utc_now


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m notifier.release", description=__doc__)
    parser.add_argument("tenant", help="the organisation's tenant id")
    options = parser.parse_args()

    async def let_go(engine: AsyncEngine) -> str:
        await command.must_be_known(engine, options.tenant)
        return f"{await answers.release(engine, options.tenant, utc_now())} released"

    command.run(let_go)


if __name__ == "__main__":
    main()
