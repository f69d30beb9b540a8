"""``python -m notifier.plan TENANT [--json]``: who would be messaged in the next seven days, and why others not."""

import argparse
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import command, plan_text
from notifier.adapters.facts import facts
from notifier.forecast import forecast
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
    options = parser.parse_args()

    async def foretell(engine: AsyncEngine) -> str:
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


if __name__ == "__main__":
    main()
