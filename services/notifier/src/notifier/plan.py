"""``python -m notifier.plan TENANT [--json]``: who would be messaged in the next seven days, and why others not.

``--yesterday``, or ``--on DATE``: how that day came otherwise than foretold, and by which rule.
"""

import argparse
import json
from datetime import date, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import command, plan_text
from notifier.adapters.day_plans import SqlDayPlans
from notifier.adapters.facts import facts
from notifier.forecast import forecast
from notifier.reconciliation import compare
from notifier.stages import local_date
from shared.errors import ConfigurationError
from shared.policy_file import load_policy
from shared.runtime.clock import utc_now
from shared.runtime.database import for_reading
from shared.settings.base import load_settings
from shared.settings.groups import PolicySettings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m notifier.plan", description=__doc__)
    parser.add_argument("tenant", help="the organisation's tenant id")
    parser.add_argument("--json", action="store_true", help="a JSON object with stable keys")
    day = parser.add_mutually_exclusive_group()
    day.add_argument("--yesterday", action="store_true", help="how yesterday came otherwise than foretold")
    day.add_argument("--on", type=date.fromisoformat, metavar="DATE", help="the same of another day: 2026-06-23")
    options = parser.parse_args()

    async def foretell(engine: AsyncEngine) -> str:
        if options.yesterday or options.on:
            return await comparison(engine, options.tenant, options.on, utc_now(), as_json=options.json)
        return await answer(engine, options.tenant, utc_now(), as_json=options.json)

    command.run(foretell)


async def answer(engine: AsyncEngine, tenant_id: str, now: datetime, *, as_json: bool) -> str:
    """The plan as text. Raises ConfigurationError for an organisation that was never heard of."""
    rules = load_policy(load_settings(PolicySettings).policy_file).for_tenant(tenant_id)
    async with for_reading(engine).connect() as db:
        known = await facts(db, tenant_id, now)
    if known is None:
        raise ConfigurationError(f"{tenant_id} was never heard of")
    said = forecast(known, rules, now)
    return plan_text.document(known, said) if as_json else plan_text.table(known, said)


async def comparison(engine: AsyncEngine, tenant_id: str, day: date | None, now: datetime, *, as_json: bool) -> str:
    """Of the organisation's yesterday without ``day``. Raises ConfigurationError where no plan was kept."""
    plans = SqlDayPlans(engine)
    known = await plans.facts(tenant_id, now)
    zone = known.snapshots[0].organisation.time_zone if known and known.snapshots else "UTC"
    wanted = day or local_date(now, zone) - timedelta(days=1)
    kept = await plans.find(tenant_id, wanted)
    if kept is None:
        raise ConfigurationError(f"no plan of {tenant_id} was kept for {wanted.isoformat()}")
    plan, compared = kept
    said = compared or compare(plan, await plans.happened(tenant_id, plan)).as_json()
    return json.dumps(said, indent=2) if as_json else plan_text.comparison(said, over=plan.ends_at <= now)


if __name__ == "__main__":
    main()
