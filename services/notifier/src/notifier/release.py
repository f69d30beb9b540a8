"""``python -m notifier.release TENANT [--invoice X] [--contact C] [--by WHO] [--list [--json]]``: lets go what is held.

``--list`` only shows what waits for a person, and the latest words of persons.
"""

import argparse
import json
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import answers, approvals, command, orders
from notifier.approvals import Which, Word
from notifier.why import table
from shared.runtime.clock import utc_now


def main() -> None:
    parser = arguments("python -m notifier.release", __doc__)
    parser.add_argument("--list", action="store_true", help="show what waits, and change nothing")
    parser.add_argument("--json", action="store_true", help="the list as JSON with stable keys")
    options = parser.parse_args()
    which = Which(options.tenant, options.invoice, options.contact)

    async def let_go(engine: AsyncEngine) -> str:
        await command.must_be_known(engine, options.tenant)
        if not (options.list or options.json):
            return f"{await approvals.let_go(engine, which, options.by, utc_now())} released"
        waiting = await answers.held(engine, options.tenant)
        if options.json:
            return json.dumps([item.as_json() for item in waiting], indent=2)
        return report(waiting, await approvals.words(engine, options.tenant))

    command.run(let_go)


def arguments(program: str, description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("tenant", help="the organisation's tenant id")
    parser.add_argument("--invoice", help="only of this invoice, by its id or number")
    parser.add_argument("--contact", help="only of this contact, by Xero's id or its name")
    parser.add_argument(
        "--by", default=orders.whoever_runs_this(), help="who says so; the user of this machine without"
    )
    return parser


def report(waiting: Sequence[answers.Answer], words: Sequence[Word]) -> str:
    """Who, what, and since when; names, and never a number."""
    lines = [table(waiting), "", f"{len(waiting)} wait."] if waiting else ["Nothing waits."]
    for word in words:
        what = "released" if word.released else "rejected"
        lines.append(f"{word.said_at.strftime('%Y-%m-%d %H:%M:%S UTC')}  {word.messages} {what} by {word.said_by}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
