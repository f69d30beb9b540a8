"""The section on hostile input: what was thrown at the door, and how it and its honest senders fared."""

from collections.abc import Sequence

from chaos.attacked import Attack
from chaos.percentiles import percentile
from chaos.tables import counted, milliseconds, table

_COLUMNS = (
    "attack",
    "sent",
    "answers",
    "honest",
    "put off",
    "honest p99",
    "large, at most",
    "memory, at most",
    "files before, most, after",
)


def hostile_input(attacks: Sequence[Attack]) -> list[str]:
    """Nothing where nothing was attacked."""
    if not attacks:
        return []
    return [
        "## Hostile input",
        "",
        "While honest senders go on: handshakes, unicode, odd spacing, large bodies. An answer `none` is a connection",
        "that the door has ended, `held` one that it let be until the attack was over. Large bodies are put off with",
        "408 when they have no room, and taken when they are repeated; the p99 is of all others.",
        "",
        *table(_COLUMNS, [_row(attack) for attack in attacks]),
        "",
        *table(("attack", "way", "sent", "answers"), [row for attack in attacks for row in _ways(attack)]),
        "",
    ]


def _row(attack: Attack) -> tuple[str, ...]:
    put_off = sum(row["tries"] > 1 for row in attack.honest)
    most = max((row["rss"] for row in attack.samples), default=0)
    files = [row["files"] for row in attack.samples] or [0]
    return (
        attack.name,
        str(attack.sent),
        counted(attack.answers),
        str(len(attack.honest)),
        str(put_off),
        milliseconds(percentile(attack.waits, 0.99)),
        milliseconds(max(attack.large_waits, default=None)),
        f"{most / 2**20:.0f} MB",
        f"{files[0]}, {max(files)}, {files[-1]}",
    )


def _ways(attack: Attack) -> list[tuple[str, ...]]:
    rows = sorted(attack.hostile, key=lambda row: str(row["way"]))
    return [(attack.name, row["way"], str(row["sent"]), counted(row["answers"])) for row in rows]
