"""``python -m notifier.stops [--probe|--brief]``: what keeps messages back, and what to do about it."""

import argparse
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import command, orders
from notifier.answers import without_numbers
from notifier.budget import MONTHLY_BUDGET
from notifier.halts import DAILY_RECIPIENTS, EVERYTHING, Switch
from notifier.orders import CONNECTION_LOST, Standing, Waiting
from shared.contracts.messages import MessageState
from shared.runtime.clock import utc_now

_TIME = "%Y-%m-%d %H:%M:%S UTC"
_RELEASED_BY = {MessageState.HELD.value: "make release", MessageState.UNKNOWN.value: "make resolve"}

_REMEDIES = {
    DAILY_RECIPIENTS: "nothing, it goes on as the day's recipients free up; WhatsApp alone can allow more of them",
    CONNECTION_LOST: "connect the organisation again (make connect-link); what is pointless by then is cancelled",
}
_OF_TEMPLATE = "make templates-status says why; it goes on by itself once the template is usable"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m notifier.stops", description=__doc__)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--probe", action="store_true", help="let one message through every open breaker now")
    way.add_argument("--brief", action="store_true", help="one line, and nothing when nothing is in the way")
    options = parser.parse_args()

    async def show(engine: AsyncEngine) -> str:
        if options.probe:
            return f"{await orders.probe(engine, utc_now())} breakers let one message through now"
        standing = await orders.standing(engine)
        return brief(standing) if options.brief else report(standing, await orders.kept(engine))

    command.run(show, migrated=not options.brief)


def report(standing: Standing, kept: Sequence[Waiting] = ()) -> str:
    lines = [*_pauses(standing), *_breakers(standing), *_waiting(standing), *_kept(kept)] or ["Nothing is in the way."]
    if words := list(_words(standing)):
        lines += ["", "The latest words of persons:", *words]
    return "\n".join(lines)


def brief(standing: Standing) -> str:
    """Empty when nothing is in the way."""
    unknown = sum(item.messages for item in standing.waiting if item.state == MessageState.UNKNOWN.value)
    held = sum(item.messages for item in standing.waiting if item.state == MessageState.HELD.value)
    parts = [f"PAUSED: {_scope(switch)} by {switch.said_by}" for switch in standing.halts.switches]
    parts += [f"stopped: {item.scope.value} {item.name} ({item.reason})" for item in standing.halts.breakers]
    parts += [f"{held} held"] if held else []
    parts += [f"{unknown} unknown"] if unknown else []
    return f"messages: {'; '.join(parts)} (make stops)" if parts else ""


def _pauses(standing: Standing) -> Iterator[str]:
    for switch in standing.halts.switches:
        yield f"PAUSED  {_scope(switch)}  by {switch.said_by} since {_at(switch.said_at)}"
        yield f"        do: make resume{'' if switch.scope == EVERYTHING else f' TENANT={switch.scope}'}"


def _breakers(standing: Standing) -> Iterator[str]:
    for item in standing.halts.breakers:
        state = "trying" if item.probe else f"one message tries at {_at(item.probe_at)}"
        waiting = standing.behind[item.key]
        since = f"{item.reason} since {_at(item.opened_at)}"
        yield f"STOPPED {item.scope.value} {item.name}  {since}, {waiting} wait; {state}"
        if item.details:
            yield f"        WhatsApp says: {without_numbers(item.details)}"
        yield f"        do: {item.remedy or 'nothing, it goes on by itself'}"


def _waiting(standing: Standing) -> Iterator[str]:
    for item in standing.waiting:
        reason = f" ({item.reason})" if item.reason else ""
        yield f"{item.messages} {item.state}{reason} of {item.tenant_id}, the oldest since {_at(item.oldest_at)}"
        other = " (or raise monthly_budget, or wait for the next month)" if item.reason == MONTHLY_BUDGET else ""
        yield f"        do: {_RELEASED_BY[item.state]} TENANT={item.tenant_id}{other}"


def _kept(kept: Sequence[Waiting]) -> Iterator[str]:
    for item in kept:
        yield f"{item.messages} {item.state} ({item.reason}) of {item.tenant_id}"
        yield f"        do: {_REMEDIES.get(item.reason or '', _OF_TEMPLATE)}"


def _words(standing: Standing) -> Iterator[str]:
    for switch, paused in standing.words:
        yield f"{_at(switch.said_at)}  {'paused' if paused else 'resumed'}  {_scope(switch)}  by {switch.said_by}"


def _scope(switch: Switch) -> str:
    return "everything" if switch.scope == EVERYTHING else switch.scope


def _at(moment: datetime) -> str:
    return moment.strftime(_TIME)


if __name__ == "__main__":
    main()
