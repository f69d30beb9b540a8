"""Whether Xero's limits hold under load, and how much of them is used, with the sandbox as the judge."""

import asyncio
import multiprocessing
import random
import statistics
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from multiprocessing.context import SpawnProcess
from time import monotonic
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import redis.asyncio
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from bench.running import running
from bench.tables import print_row
from deploy.stack import Stack
from fetcher.adapters.calls import XeroCalls
from fetcher.adapters.limiter import CallLimiter, Limits, tenant_key
from fetcher.adapters.xero import Xero
from fetcher.metrics import FetcherMetrics
from fetcher.purposes import Purpose
from sandbox.client import Sandbox
from shared.errors import RetryableError
from shared.runtime.clock import utc_now
from shared.runtime.http import create_http_client
from shared.runtime.redis import create_redis

KILL_EVERY = 5.0
FLUSH_AFTER = 64.0
"""As soon as a call is in flight then: in the midst of a burst."""
LATENCY = 0.2
TASKS = 8
MINUTE = timedelta(seconds=60)
_HEAD = ("fetchers", "calls", "most/60 s", "used/min", "in flight", "breaches")
_SCOPES = "offline_access accounting.invoices.read accounting.contacts.read accounting.settings.read"


@dataclass(frozen=True)
class Run:
    fetchers: int
    seconds: float = 90
    flush: bool = False
    kill: bool = False

    @property
    def name(self) -> str:
        troubles = [f"one killed every {KILL_EVERY:.0f} s"] * self.kill + ["one flush"] * self.flush
        return ", ".join([str(self.fetchers), *troubles])


RUNS = (
    *(Run(1), Run(3), Run(6)),
    *(Run(1, 160, flush=True), Run(3, 160, flush=True)),
    Run(6, 240, flush=True, kill=True),
)


@dataclass(frozen=True)
class Plan:
    """What a process that calls is given."""

    redis_url: str
    xero_url: str
    tenant_id: str
    invoice_id: str
    token: SecretStr


@dataclass(frozen=True)
class Verdict:
    """``most``: calls in any rolling 60 s; ``used``: a minute, by the median time in which sixty were made."""

    calls: int
    most: int
    used: float
    in_flight: int
    breaches: int

    def cells(self) -> list[str]:
        return [str(self.calls), str(self.most), f"{self.used:.1f}", str(self.in_flight), str(self.breaches)]


class _OneToken:
    """Enough for a run: the sandbox's token lives longer."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    async def access(self, tenant_id: str) -> SecretStr:  # noqa: ARG002 - one is enough for any tenant
        return self._token

    async def replace(self, tenant_id: str, refused: SecretStr) -> SecretStr:  # noqa: ARG002 - never refused
        return self._token

    def forget(self, tenant_id: str) -> None:
        """There is no other."""

    async def check_connected(self, tenant_id: str) -> None:
        """It is."""


def measure() -> None:
    """Print a line for 1, 3 and 6 fetchers, with and without trouble."""
    with running({}) as stack:
        asyncio.run(_measure(stack))


async def _measure(stack: Stack) -> None:
    widths = [max(len(run.name) for run in RUNS), *map(len, _HEAD[1:])]
    print_row(widths, _HEAD)
    for run in RUNS:
        async with Sandbox(stack.url("sandbox")) as sandbox, redis.asyncio.Redis.from_url(stack.redis_url) as counts:
            await sandbox.reset()
            await sandbox.settings(xero_latency=LATENCY, auto_consent="allow")
            plan = await _plan(sandbox, stack.redis_url)
            await _run(plan, run, counts)
            verdict = await _judge(sandbox, plan.tenant_id)
        print_row(widths, [run.name, *verdict.cells()])
    print(f"\nEach fetcher has {TASKS} tasks that always want to call; Xero takes {LATENCY * 1000:.0f} ms an answer.")


async def _plan(sandbox: Sandbox, redis_url: str) -> Plan:
    tenant = str((await sandbox.organisation())["tenant_id"])
    [row] = await sandbox.bulk(tenant, 1, issue_date=date(2026, 1, 1), due_date=date(2026, 1, 31))
    form = {"response_type": "code", "client_id": "sandbox-client", "redirect_uri": "https://duebell.example/callback"}
    async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, timeout=20) as http:
        back = await http.get(f"/identity/connect/authorize?{urlencode({**form, 'scope': _SCOPES, 'state': 's'})}")
        code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
        grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": form["redirect_uri"]}
        answer = await http.post("/connect/token", data=grant, auth=("sandbox-client", "sandbox-secret"))
        token = SecretStr(answer.raise_for_status().json()["access_token"])
    await sandbox.clear_journal()
    return Plan(redis_url, sandbox.base_url, tenant, row["invoice_id"], token)


async def _run(plan: Plan, run: Run, counts: "redis.asyncio.Redis") -> None:
    """Call for so long, with the run's troubles."""
    chance = random.Random(1)
    processes = [_started(plan) for _ in range(run.fetchers)]
    began = killed_at = monotonic()
    flushed = not run.flush
    try:
        while (now := monotonic()) - began < run.seconds:
            await asyncio.sleep(0.05)
            if run.kill and now - killed_at >= KILL_EVERY:
                killed_at = now
                victim = chance.randrange(run.fetchers)
                processes[victim].kill()
                processes[victim] = _started(plan)
            if not flushed and now - began >= FLUSH_AFTER and await counts.zcard(tenant_key(plan.tenant_id, "flight")):
                flushed = True
                await counts.flushall()
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            await asyncio.to_thread(process.join)


def _started(plan: Plan) -> SpawnProcess:
    process = multiprocessing.get_context("spawn").Process(target=_call_on, args=(plan,), daemon=True)
    process.start()
    return process


def _call_on(plan: Plan) -> None:
    asyncio.run(_call(plan))


async def _call(plan: Plan) -> None:
    figures = FetcherMetrics(CollectorRegistry(), calls_per_day=5000)
    http = create_http_client(plan.xero_url, timeout_seconds=40)
    async with create_redis(plan.redis_url) as counts, http:
        limiter = CallLimiter(counts, Limits(60, 5, 5000))
        calls = XeroCalls(http, _OneToken(plan.token), limiter, utc_now, figures)
        xero = Xero(calls, figures.invoices_per_call.observe, Purpose.EVENT)

        async def work() -> None:
            while True:
                with suppress(RetryableError):
                    await xero.invoices(plan.tenant_id, lambda: [plan.invoice_id])

        await asyncio.gather(*(work() for _ in range(TASKS)))


async def _judge(sandbox: Sandbox, tenant_id: str) -> Verdict:
    arrivals = sorted(
        datetime.fromisoformat(entry["time"]).astimezone(UTC) - timedelta(milliseconds=entry["milliseconds"])
        for entry in await sandbox.journal("xero.api")
    )
    summary = await sandbox.summary()
    most = last = 0
    for first, start in enumerate(arrivals):
        while last < len(arrivals) and arrivals[last] < start + MINUTE:
            last += 1
        most = max(most, last - first)
    spans = [(later - earlier).total_seconds() for earlier, later in zip(arrivals, arrivals[60:], strict=False)]
    return Verdict(
        calls=len(arrivals),
        most=most,
        used=3600 / statistics.median(spans) if spans else 0,
        in_flight=summary["calls_by_tenant"][tenant_id]["peak_in_flight"],
        breaches=summary["breaches"],
    )
