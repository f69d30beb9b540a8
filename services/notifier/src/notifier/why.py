"""``python -m notifier.why TENANT [--invoice X] [--json]``: why was this customer messaged, or not?"""

import argparse
import json
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import answers, command
from notifier.columns import aligned
from notifier.costs import money
from shared.contracts.messages import MessageState

_TIME = "%Y-%m-%d %H:%M UTC"
_COLUMNS = ("invoice", "contact", "due", "message", "verdict", "rule", "state", "cost", "when")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m notifier.why", description=__doc__)
    parser.add_argument("tenant", help="the organisation's tenant id")
    parser.add_argument("--invoice", help="one invoice, by its id or number")
    parser.add_argument("--json", action="store_true", help="a JSON list with stable keys")
    options = parser.parse_args()

    async def answer(engine: AsyncEngine) -> str:
        found = await answers.why(engine, options.tenant, options.invoice)
        return json.dumps([item.as_json() for item in found], indent=2) if options.json else table(found)

    command.run(answer)


def table(found: Sequence[answers.Answer]) -> str:
    """Aligned columns for a terminal: names, and never a number."""
    if not found:
        return "Nothing has been decided."
    return aligned(_COLUMNS, map(_row, found))


def _row(item: answers.Answer) -> tuple[str, ...]:
    return (
        item.invoice_number or item.invoice_id,
        " ".join((item.contact_name or item.contact_id).split()),
        item.due_on.isoformat() if item.due_on else "-",
        message_name(item.kind, item.stage),
        item.verdict,
        item.rule,
        _state(item),
        money(item.cost, item.currency),
        (item.changed_at or item.decided_at).strftime(_TIME),
    )


def message_name(kind: str, stage: int | None) -> str:
    """``issued``, or ``reminder +7``."""
    return kind if stage is None else f"{kind} {stage:+d}"


def _state(item: answers.Answer) -> str:
    state = (item.state or "-") + (f", {item.copies} copies" if item.copies > 1 else "")
    if item.statement_of:
        state = f"{state}, in a statement of {item.statement_of}"
    if item.state == MessageState.PLANNED and item.due_at:
        return f"{state}, leaves from {item.due_at.strftime(_TIME)}"
    reason = item.reason if item.reason != item.rule else None
    # All that WhatsApp says of it, which names its code again.
    told = item.error or reason if item.state == MessageState.FAILED else reason
    return f"{state} ({told})" if told else state


if __name__ == "__main__":
    main()
