"""``make chaos``: CHAOS=pr, night, hostile, points, cluster or faults; DATABASE=…; SEED=…; OUT=…; exit code 1 on a
violation.
"""

import argparse
import asyncio
import os
import platform
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel

from chaos.databases import KINDS, Kind
from chaos.faults import FAULTS
from chaos.figures import Figures, figures_of
from chaos.history import History, Record, of_kind, read_history
from chaos.plan import plan_of
from chaos.report import again, headline, markdown
from chaos.run import play
from chaos.runs import ended, noted, publish_with_others, table
from chaos.seen import see
from chaos.until import NotInTime
from deploy.errors import StackError
from deploy.paths import ROOT
from deploy.servers.packages import POSTGRESQL, find

PUBLISHED = ROOT / "docs" / "reliability.md"
PUBLISHED_RUNS = ROOT / "docs" / "reliability-runs.jsonl"
RUNS = ROOT / "var" / "chaos" / "runs.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument(
        "size", nargs="?", default="pr", help="pr, night, hostile, points, cluster, or faults; list names them"
    )
    parser.add_argument("--database", choices=KINDS, default="sqlite", help="where the services keep what they know")
    parser.add_argument("--rounds", type=int, default=1, help="how often each of points, or of the named, is played")
    parser.add_argument("--seed", type=int, default=None, help="the run's; a random one, which is told, without")
    parser.add_argument("--out", type=Path, default=None, help="where the results go; a folder under var/chaos without")
    parser.add_argument("--minutes", type=float, default=None, help="no fault begins later than this")
    parser.add_argument("--patience", type=float, default=None, help="seconds without any progress: given up")
    parser.add_argument("--publish", action="store_true", help="also write docs/reliability.md")
    parser.add_argument("--judge", type=Path, default=None, metavar="HISTORY", help="play nothing; judge this history")
    options = parser.parse_args()
    # Who is asked to stop puts everything away first, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(highlight=False)
    if options.judge is not None:
        sys.exit(_tell(console, options.judge, publish=options.publish))
    if options.size == "list":
        console.print("\n".join(FAULTS))
        return
    if unknown := set(options.size.split(",")) - {"pr", "night", "hostile", "points", "cluster", *FAULTS}:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}; make chaos CHAOS=list names them")
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    on = "" if options.database == "sqlite" else f"-{options.database}"
    out: Path = options.out or ROOT / "var" / "chaos" / f"{options.size}-{seed}{on}"
    about = about_run(options.size, seed, options.rounds, options.database)
    try:
        with noted(RUNS, about) as verdicts:
            history = run(options.size, seed, out, console, options.minutes, patience=options.patience, about=about)
            figures, _ = judge(history)
            verdicts.append(ended(about, figures))
    except (NotInTime, StackError, ExceptionGroup) as error:
        console.print(f"[bold red]The run broke off:[/] {error}")
        for line in (*getattr(error, "details", ()), *map(repr, getattr(error, "exceptions", ()))):
            console.print(f"  {line}", markup=False)
        sys.exit(2)
    sys.exit(_tell(console, history, publish=options.publish))


def run(
    size: str,
    seed: int,
    out: Path,
    console: Console,
    minutes: float | None = None,
    *,
    patience: float | None = None,
    about: Record | None = None,
) -> Path:
    """Play it; the history's path. The installation lies in a folder of its own, whose logs are kept beside."""
    about = about or about_run(size, seed)
    began = time.monotonic()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="chaos-") as stack, History(out / "history.jsonl", time.time) as history:
        history.add("run", **about)

        def say(line: str) -> None:
            console.print(f"[dim]{time.monotonic() - began:6.1f} s[/]  {line}")

        database = about["database"]
        plan = plan_of(size, seed, rounds=about.get("rounds", 1), database=database)
        if minutes is not None:
            plan = replace(plan, seconds=minutes * 60, may_end_early=True)
        if patience is not None:
            plan = replace(plan, patience=patience)
        try:
            asyncio.run(play(plan, seed, Path(stack), history, say, database))
        finally:
            logs = Path(stack) / "log"
            if logs.exists():
                shutil.copytree(logs, out / "log", dirs_exist_ok=True)
    return out / "history.jsonl"


def judge(history: Path) -> tuple[Figures, Record]:
    """A pure function of the file: anybody can ask again."""
    records = read_history(history)
    return figures_of(see(records)), of_kind(records, "run")[0]


def _tell(console: Console, history: Path, *, publish: bool) -> int:
    figures, about = judge(history)
    page = markdown(figures, about)
    report = history.parent / "report.md"
    report.write_text(page, encoding="utf-8")
    if publish:
        runs = publish_with_others(PUBLISHED_RUNS, RUNS, shown := ended(about, figures))
        PUBLISHED.write_text(markdown(figures, about, table(runs, shown.run)), encoding="utf-8")
    lines = [f"[bold]{headline(figures, about)}[/]", ""]
    found = figures.violations[:15]
    lines += [f"[red]✗ {violation.check}[/]  {violation.subject}  {violation.details}" for violation in found]
    lines += [
        "",
        f"history  {history}",
        f"report   {report}",
        f"again    {again(about)}",
    ]
    style = "red" if figures.violations else "green"
    title = f"{len(figures.violations)} violations" if figures.violations else "no violation"
    console.print(Panel("\n".join(lines), title=f"[bold {style}]{title}[/]", border_style=style, padding=(1, 2)))
    return 1 if figures.violations else 0


def about_run(size: str, seed: int, rounds: int = 1, database: Kind = "sqlite") -> dict[str, Any]:
    """The first record of a history: what is played, when, on what, and of which commit."""
    commit = _said("git", "rev-parse", "--short=12", "HEAD")
    changed = _said("git", "status", "--porcelain", "--untracked-files=no")
    servers = f"Redis {_said('redis-server', '--version').partition('v=')[2].split(' ')[0]}"
    if database == "postgresql" and (program := find(POSTGRESQL)):
        servers += f", PostgreSQL {_said(str(program), '--version').split(' ')[2]}"
    rabbitmq = _said("dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server").partition("-")[0]
    return {
        "at": round(time.time(), 3),
        "size": size,
        "seed": seed,
        "rounds": rounds,
        "database": database,
        "release": tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"],
        "commit": commit + ("+" if changed else ""),
        "day": datetime.now(UTC).date().isoformat(),
        "versions": f"Python {platform.python_version()}, RabbitMQ {rabbitmq or 'unknown'}, {servers}",
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before, {platform.system()}",
    }


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


if __name__ == "__main__":
    main()
