"""What the operator's commands print."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from token_broker.admin.overview import Shown
from token_broker.admin.refusals import Affected
from token_broker.reseal import Resealed

_TIME = "%Y-%m-%d %H:%M:%S UTC"
_COLUMNS = ("tenant", "name", "status", "since", "grant", "refreshed", "expires", "refresh", "key")
_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


def table(shown: Sequence[Shown]) -> str:
    """Aligned columns for a terminal."""
    if not shown:
        return "No organisation was ever connected."
    rows = [_COLUMNS, *(_row(each) for each in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def as_json(shown: Sequence[Shown]) -> str:
    return json.dumps(_ANYTHING.dump_python(list(shown), mode="json"), indent=2)


def named(organisation: Affected) -> str:
    """``Acme Ltd (tenant id)``."""
    return f"{plain(organisation.tenant_name)} ({plain(organisation.tenant_id)})"


def plain(text: str) -> str:
    """One line without anything that a terminal would obey: names are whatever an organisation calls itself."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split())) or "-"


def still_sealed(done: Resealed, first_key: str) -> Iterator[str]:
    """Which keys the stored tokens need, and so which may be removed."""
    counted = ", ".join(f"{key} ({count} tokens)" for key, count in sorted(done.by_key.items()))
    yield f"Keys in use: {counted or 'none'}."
    if done.broken:
        yield f"These grants do not open and must be connected anew: {', '.join(map(plain, done.broken))}."
    if done.left:
        yield "Some grants were busy every time; run it again."
    if not done.broken and not done.left:
        yield f"All keys but {first_key} may be removed from DUEBELL_TOKEN_KEYS."


def _row(each: Shown) -> tuple[str, ...]:
    return (
        plain(each.tenant_id),
        plain(each.tenant_name),
        f"{each.status} ({each.reason})" if each.reason else each.status,
        _at(each.since),
        plain(each.grant),
        _at(each.refreshed_at),
        _at(each.expires_at),
        (each.refresh or "-").replace("_", " "),
        each.key or "-",
    )


def _at(moment: datetime | None) -> str:
    return moment.strftime(_TIME) if moment else "-"
