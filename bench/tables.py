"""How figures are put down: quantiles, and columns that line up."""

import os
import statistics
from collections.abc import Sequence


def quantile(values: Sequence[float], percent: int) -> float:
    """Of at least two values; between two neighbours where none lies there."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, figures to the right."""
    print_row(widths := [max(map(len, column)) for column in zip(head, *rows, strict=True)], head)
    for row in rows:
        print_row(widths, row)


def print_row(widths: Sequence[int], cells: Sequence[str]) -> None:
    """One line; for tables that take long and are wanted as they grow."""
    first, *rest = (
        cell.rjust(width) if place else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    print("  ".join([first, *rest]), flush=True)


def load_line() -> str:
    """What else the machine was doing."""
    last, *_ = os.getloadavg()
    return f"load average {last:.1f} on {os.cpu_count()} processors"
