"""``python -m notifier.answered TENANT CONTACT``: somebody has read a contact's reply, so that reminders go on."""

import argparse

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import command
from notifier.adapters.replies import end_pause
from shared.runtime.clock import utc_now


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m notifier.answered", description=__doc__)
    parser.add_argument("tenant", help="the organisation's tenant id")
    parser.add_argument("contact", help="the Xero contact's id, or the id or number of one of its invoices")
    options = parser.parse_args()

    async def end(engine: AsyncEngine) -> str:
        await command.must_be_known(engine, options.tenant)
        ended = await end_pause(engine, options.tenant, options.contact, utc_now())
        return "reminders go on with the next scan" if ended else "no reply of this contact waited"

    command.run(end)


if __name__ == "__main__":
    main()
