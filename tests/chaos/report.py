"""The report of a run: the line that counts, tables, every violation, and the small print; as Markdown."""

from collections.abc import Sequence
from statistics import median

from chaos.attack_report import hostile_input
from chaos.boundary_report import commit_boundaries
from chaos.checks import CHECKS
from chaos.databases import NAMES
from chaos.figures import Figures, Recovery
from chaos.history import Record
from chaos.percentiles import percentile
from chaos.tables import counted, milliseconds, table

_MOST_LISTED = 40

SMALL_PRINT = """\
Stand-ins play Xero and WhatsApp; their journal is the judge, never Duebell's own logs. What the ledger says counts
only where nothing reached WhatsApp: it tells why. One machine: no disk, no clock and no network is really lost, and a
killed process leaves its page cache behind, which a power cut would not. {nodes} Load and
faults follow from the seed; which instruction a kill hits does not. A fault that did not take hold counts as a failure
of the run. The figures are of one run, of the commit that it names; others are listed by what was found in them, as far
as they were made where this page was written."""

_ONE_NODE = "One RabbitMQ node: no replication."
_NODES = "{} RabbitMQ nodes, on one machine."


def headline(figures: Figures, run: Record) -> str:
    """One line, in the order in which people ask."""
    ends, found = figures.ends, figures.found
    recovered = [one.last for one in figures.recoveries if one.last is not None]
    parts = [
        f"kills {figures.kills}",
        f"faults {figures.faults.total()}",
        f"events {figures.events}",
        f"lost {found['lost']}",
        f"duplicate {found['duplicate']}",
        f"unexpected {found['unexpected']}",
        f"parked {ends['parked']}",
        f"unknown {figures.unknown} (settled {figures.settled})",
        f"token reuse {found['token_reuse']} in {figures.expiries} expiries",
        f"forged accepted {found['forged_accepted']} of {figures.forged}",
        f"limit breaches {found['limit_breach']} in {figures.calls} calls",
        f"ack p99 {milliseconds(percentile(figures.ack, 0.99))}",
        f"recovery p99 {_s(percentile(recovered, 0.99))}",
        NAMES[run.get("database", "sqlite")],
        f"seed {run['seed']}, commit {run['commit']}",
    ]
    return " | ".join(parts)


def markdown(figures: Figures, run: Record, others: Sequence[Sequence[str]] = ()) -> str:
    """The whole page; ``others`` are rows about all runs of the release, this one among them."""
    lines = [
        "# Reliability under faults",
        "",
        f"`{again(run)}`, {run['day']}: "
        + ("**no violation**." if not figures.violations else f"**{len(figures.violations)} violations**."),
        "",
        f"> {headline(figures, run)}",
        "",
        "## What became of the accepted events",
        "",
        *table(("end", "events"), [(end, str(count)) for end, count in _ends(figures)]),
        "",
        f"{figures.offered} were offered over {figures.seconds:.0f} s, {figures.events} were answered 200, "
        f"{figures.messages} messages were accepted by WhatsApp. Answers to honest senders: "
        f"{counted(figures.answers)}.",
        "",
        *table(("why not sent", "events"), [(why, str(count)) for why, count in figures.rules.most_common()]),
        "",
        "## Times",
        "",
        *_times(figures),
        "",
        "## Faults",
        "",
        "Recovery is counted from the end of the fault: until every process is ready, and until the first and the last",
        "message of its backlog. The fetcher gathers ids for up to twelve seconds, broken or not.",
        *(
            ["In this size faults overlap: a backlog also waits for those that came after."]
            if run["size"] in {"pr", "points"}
            else []
        ),
        "",
        *_fault_table(figures.recoveries),
        "",
        *_left_out(figures),
        *hostile_input(figures.attacks),
        *commit_boundaries(figures.boundaries),
        "## Checks",
        "",
        *_checks(figures),
        "",
        *_violations(figures),
        *_zeros(figures),
        "",
        *_others(others),
        "## Small print",
        "",
        SMALL_PRINT.format(nodes=_ONE_NODE if figures.nodes == 1 else _NODES.format(figures.nodes)),
        "",
        f"{run['machine']}; {run['versions']}; commit {run['commit']}; seed {run['seed']}.",
        "",
    ]
    return "\n".join(lines)


def _ends(figures: Figures) -> list[tuple[str, int]]:
    return [(end, figures.ends[end]) for end in ("sent", "suppressed", "parked", "unknown", "pending", "lost")]


def _times(figures: Figures) -> list[str]:
    rows = [
        ("answer 200 to an honest sender", figures.ack, milliseconds),
        ("answer 503 to an honest sender", figures.refused, milliseconds),
        ("from 200 to the message, nothing broken", figures.quiet, _s),
        ("from 200 to the message, beside one that kills", figures.beside_killers, _s),
    ]
    rows_of = [
        (what, str(len(values)), *(say(percentile(values, share)) for share in (0.5, 0.99, 1.0)))
        for what, values, say in rows
    ]
    return table(("what", "n", "p50", "p99", "most"), rows_of)


def _fault_table(recoveries: Sequence[Recovery]) -> list[str]:
    rows = []
    for name in sorted({one.name for one in recoveries}):
        own = [one for one in recoveries if one.name == name]
        firsts = [one.first for one in own if one.first is not None]
        lasts = [one.last for one in own if one.last is not None]
        ready = _s(max((one.ready for one in own if one.ready is not None), default=None))
        lasted = f"{median(one.lasted for one in own):.1f} s"
        backlog = str(sum(one.backlog for one in own))
        slowest = (_s(max(firsts, default=None)), _s(max(lasts, default=None)))
        rows.append((name, str(len(own)), lasted, ready, backlog, *slowest))
    return table(("fault", "times", "lasted", "ready, at most", "backlog", "first, at most", "last, at most"), rows)


def _left_out(figures: Figures) -> list[str]:
    if not figures.left_out:
        return []
    played = set(figures.faults)
    names = sorted(name for name in figures.left_out if name.partition(" ")[0] not in played)
    never = f"; never played: {', '.join(names)}" if names else ""
    return [f"{figures.left_out.total()} faults of the plan were left out{never}.", ""]


def again(run: Record) -> str:
    """The command that plays the same once more."""
    rounds = run.get("rounds", 1)
    more = f' ARGS="--rounds {rounds}"' if rounds > 1 else ""
    database = "" if run.get("database", "sqlite") == "sqlite" else f" DATABASE={run['database']}"
    return f"make chaos CHAOS={run['size']} SEED={run['seed']}{database}{more}"


def _checks(figures: Figures) -> list[str]:
    rows = [
        (name.replace("_", " "), _first_line(check.__doc__), str(figures.found[name])) for name, check in CHECKS.items()
    ]
    return table(("check", "what it holds to", "violations"), rows)


def _zeros(figures: Figures) -> list[str]:
    """Zero in n independent trials means, at 95 %, a rate below 3/n."""
    trials = [
        ("lost", "accepted events", figures.events),
        ("duplicate", "messages", figures.messages),
        ("unexpected", "messages", figures.messages),
        ("token_reuse", "renewed tokens", figures.expiries),
        ("forged_accepted", "forged bodies", figures.forged),
        ("limit_breach", "calls to Xero", figures.calls),
        ("poison_lost", "poison messages", figures.poisons),
        ("slow_answers", "answers", figures.answers.total()),
        ("never_recovered", "faults", figures.faults.total()),
    ]
    rows = [
        (name.replace("_", " "), str(figures.found[name]), f"{n} {what}", _below(figures.found[name], n))
        for name, what, n in trials
    ]
    opening = "Zero in n independent trials means, at 95 %, a rate below 3/n. How independent they are, nobody knows."
    return ["## What the zeros mean", "", opening, "", *table(("found", "", "of", "a rate below"), rows)]


def _below(found: int, trials: int) -> str:
    if found:
        return "it is none"
    return f"{300 / trials:.2g} %" if trials > 3 else "too few to tell"


def _others(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    columns = ("day", "commit", "size", "database", "seed", "faults", "kills", "events", "violations")
    opening = "Every run of a published size since the last release that this ledger knows of, the failed ones too."
    return ["## Runs", "", opening, "", *table(columns, rows), ""]


def _first_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _violations(figures: Figures) -> list[str]:
    if not figures.violations:
        return []
    listed = [f"- {one.check}: {one.subject} {one.details}" for one in figures.violations[:_MOST_LISTED]]
    more = len(figures.violations) - len(listed)
    return ["## Violations", "", *listed, *([f"- and {more} more"] if more > 0 else []), ""]


def _s(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
