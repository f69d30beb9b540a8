"""``python -m fetcher.budget [--json]``: what each organisation has spent of its day, and what its bytes would cost."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal

from fetcher.adapters.limiter import CallLimiter, Limits
from fetcher.adapters.spending import Spending, Spent
from fetcher.purposes import Purpose
from fetcher.settings import FetcherSettings
from shared.errors import ConfigurationError, RetryableError
from shared.runtime.redis import create_redis
from shared.settings.base import load_settings

AUD_A_GIGABYTE = Decimal("2.40")
"""Xero's price for what goes beyond a tier's allowance, without tax."""
_COLUMNS = ("organisation", "calls", *Purpose, "day left", "received", "AUD 7 days", "state")
_TIME = "%Y-%m-%d %H:%M:%S UTC"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fetcher.budget", description=__doc__)
    parser.add_argument("--json", action="store_true", help="a JSON object with stable keys")
    as_json = parser.parse_args().json
    try:
        said = asyncio.run(_answer(load_settings(FetcherSettings), as_json=as_json))
    except ConfigurationError as error:
        sys.stderr.write(f"fetcher: {error}\n")
        sys.exit(2)
    except RetryableError as error:
        sys.stderr.write(f"fetcher: Redis does not answer ({error})\n")
        sys.exit(1)
    sys.stdout.write(f"{said}\n")


async def _answer(settings: FetcherSettings, *, as_json: bool) -> str:
    limits = Limits.of(settings)
    async with create_redis(settings.redis_url.get_secret_value()) as redis:
        spending = Spending(redis, CallLimiter(redis, limits))
        tenants, everybody_until = await spending.tenants(), await spending.everybody_until()
    return document(tenants, everybody_until) if as_json else table(tenants, everybody_until)


def document(tenants: Sequence[Spent], everybody_until: datetime | None) -> str:
    """JSON; times are ISO 8601, money is text."""
    rows = [
        {
            **asdict(spent),
            "until": spent.until.isoformat() if spent.until else None,
            "overage_aud": str(price(spent.bytes)),
            "week_overage_aud": str(price(spent.week_bytes)),
        }
        for spent in tenants
    ]
    until = everybody_until.isoformat() if everybody_until else None
    return json.dumps({"tenants": rows, "everybody_held_until": until}, indent=2)


def table(tenants: Sequence[Spent], everybody_until: datetime | None) -> str:
    """Aligned columns for a terminal; calls and bytes are of today, UTC."""
    notes = [f"Nobody is called until {everybody_until.strftime(_TIME)}."] if everybody_until else []
    if not tenants:
        return "\n".join(["Xero has not been called in the last eight days.", *notes])
    rows = [_COLUMNS, *(_row(spent) for spent in tenants), _sum(tenants)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *notes])


def price(size: int) -> Decimal:
    """What ``size`` bytes would cost if all were beyond the allowance, in AUD."""
    return (AUD_A_GIGABYTE * size / 10**9).quantize(Decimal("0.0001"))


def _row(spent: Spent) -> tuple[str, ...]:
    return (
        " ".join((spent.name or spent.tenant_id).split()),
        str(sum(spent.calls.values())),
        *(str(spent.calls.get(purpose, 0)) for purpose in Purpose),
        str(spent.day_left),
        _size(spent.bytes),
        str(price(spent.week_bytes)),
        _state(spent),
    )


def _sum(tenants: Sequence[Spent]) -> tuple[str, ...]:
    return (
        "all",
        str(sum(sum(spent.calls.values()) for spent in tenants)),
        *(str(sum(spent.calls.get(purpose, 0) for spent in tenants)) for purpose in Purpose),
        "",
        _size(sum(spent.bytes for spent in tenants)),
        str(price(sum(spent.week_bytes for spent in tenants))),
        "",
    )


def _size(size: int) -> str:
    return f"{size / 1000:.1f} kB" if size < 10**6 else f"{size / 10**6:.1f} MB"


def _state(spent: Spent) -> str:
    if spent.until is None:
        return "calling"
    word = "parked" if spent.held == "day" else "held"
    return f"{word} ({spent.held}) until {spent.until.strftime(_TIME)}"


if __name__ == "__main__":
    main()
