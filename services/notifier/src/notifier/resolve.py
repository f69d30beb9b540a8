"""``python -m notifier.resolve TENANT [--invoice X] [--resend|--close]``: settles messages nobody knows the end of."""

import argparse
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import answers, command
from notifier.model import Intent
from notifier.why import message_name, table
from shared.runtime.clock import utc_now


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m notifier.resolve", description=__doc__)
    parser.add_argument("tenant", help="the organisation's tenant id")
    parser.add_argument("--invoice", help="one invoice, by its id or number")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--resend", action="store_true", help="send again; who got the first one gets a second")
    way.add_argument("--close", action="store_true", help="give up; a status that still comes is believed")
    options = parser.parse_args()

    async def settle(engine: AsyncEngine) -> str:
        await command.must_be_known(engine, options.tenant)
        if options.resend:
            return report(await answers.resend(engine, options.tenant, utc_now(), options.invoice), "to be sent again")
        if options.close:
            return report(await answers.close(engine, options.tenant, utc_now(), options.invoice), "closed as failed")
        found = await answers.unknown(engine, options.tenant, options.invoice)
        return table(found) if found else "Nothing is unknown."

    command.run(settle)


def report(settled: Sequence[Intent], what: str) -> str:
    """One line per message, and how many."""
    lines = [
        f"{intent.invoice_number or intent.invoice_id}  {message_name(intent.kind.value, intent.stage)}  {what}"
        for intent in settled
    ]
    return "\n".join([*lines, f"{len(settled)} {what}"])


if __name__ == "__main__":
    main()
