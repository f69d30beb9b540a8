"""Markdown tables, and how numbers are said in them."""

from collections.abc import Iterable, Mapping, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    head = [f"| {' | '.join(columns)} |", f"| {' | '.join('---' for _ in columns)} |"]
    return head + [f"| {' | '.join(row)} |" for row in rows]


def counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} × {count}" for name, count in sorted(counts.items()))


def milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
