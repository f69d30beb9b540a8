"""``make ps`` as text: aligned columns that also split on white space."""

from collections.abc import Sequence

from deploy.stack import ProcessStatus

_HEADER = ("SERVICE", "REPLICA", "PID", "PORT", "STATE", "ADDRESS")


def render_processes(processes: Sequence[ProcessStatus]) -> str:
    """A header and one line per process; ``-`` stands for what there is none of."""
    rows = [
        (p.service, str(p.replica), str(p.pid or "-"), str(p.port or "-"), p.state, p.url or "-") for p in processes
    ]
    widths = [max(len(row[column]) for row in [_HEADER, *rows]) for column in range(len(_HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [_HEADER, *rows]]
    return "\n".join(line.rstrip() for line in lines)
