"""How long callers wait for an access token: a fresh one, one that has to be refreshed, and one refreshed ahead."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from time import perf_counter

import aio_pika
import httpx

from bench.running import running
from bench.tables import print_table, quantile
from deploy.demo.world import World
from deploy.stack import Stack
from sandbox.client import Sandbox
from shared.clients.token_broker import TokenBrokerClient, fingerprint, open_token_broker_client
from shared.contracts.tokens import TokenGranted

REPLICAS = 4
CALLERS = 200
CONNECTIONS = 4
EXPIRIES = 10
LATENCY = 0.2
LIFE = 60
"""Of an access token, so that a run sees several of them end."""


def measure() -> None:
    """Print the three waits, and what a refresh costs beside what Xero itself takes."""
    with running({"token-broker": REPLICAS}) as stack:
        asyncio.run(_measure(stack))


async def _measure(stack: Stack) -> None:
    async with AsyncExitStack() as opened:
        sandbox = await opened.enter_async_context(Sandbox(stack.url("sandbox")))
        browser = await opened.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=20))
        askers = []
        for _ in range(CONNECTIONS):
            connection = await opened.enter_async_context(await aio_pika.connect_robust(stack.amqp_admin_url))
            askers.append(await opened.enter_async_context(open_token_broker_client(connection)))
        await sandbox.settings(token_life=LIFE, mode="strict")
        tenant = await _connected(World(stack, sandbox, browser))
        await sandbox.fault("xero.token", "latency", times=None, seconds=LATENCY)
        fresh, refreshed, foreseen = [], [], []
        for _ in range(EXPIRIES):
            seconds, token = await _ask_all(askers, tenant, None)
            fresh += seconds
            seconds, _ = await _ask_all(askers, tenant, fingerprint(token.access_token))
            refreshed += seconds
            # Nobody refreshes what was refreshed a moment ago.
            await asyncio.sleep(LIFE / 15 + 0.2)
        ends_at = perf_counter() + 2 * LIFE
        while perf_counter() < ends_at:
            seconds, _ = await _ask_all(askers[:1], tenant, None, callers=1)
            foreseen += seconds
            await asyncio.sleep(0.05)
        reuse = (await sandbox.summary())["token_reuse"]
    waits = {
        "fresh": fresh,
        f"refused, Xero takes {LATENCY * 1000:.0f} ms": refreshed,
        f"asked again and again for {2 * LIFE} s": foreseen,
    }
    print_table(
        ["wait in ms", "p50", "p99"],
        [
            [name, *(f"{quantile(seconds, percent) * 1000:.0f}" for percent in (50, 99))]
            for name, seconds in waits.items()
        ],
    )
    extra = quantile(refreshed, 99) - LATENCY
    print(
        f"\nWhen {CALLERS} callers of {REPLICAS} replicas need a new token at once, 99 of 100 wait "
        f"{extra * 1000:.0f} ms longer than Xero takes\n"
        f"({quantile(refreshed, 99) / LATENCY:.2f} times its {LATENCY * 1000:.0f} ms); {EXPIRIES} times, "
        f"refresh tokens used twice: {reuse}."
    )


async def _connected(world: World) -> str:
    tenant = str((await world.sandbox.organisation())["tenant_id"])
    to_login = await world.browser.get(await world.command("connect-link"))
    back = await world.sandbox.consent(to_login.headers["location"], organisations=[tenant])
    (await world.browser.get(back)).raise_for_status()
    return tenant


async def _ask_all(
    askers: Sequence[TokenBrokerClient], tenant: str, refused: str | None, callers: int = CALLERS
) -> tuple[list[float], TokenGranted]:
    """Everybody asks at once; how long each waited, and the one token that all were given."""

    async def ask(asker: TokenBrokerClient) -> tuple[float, TokenGranted]:
        began = perf_counter()
        answer = await asker.access(tenant, refused=refused)
        if not isinstance(answer, TokenGranted):
            raise RuntimeError(f"no token: {answer.reason}")
        return perf_counter() - began, answer

    answers = await asyncio.gather(*(ask(askers[number % len(askers)]) for number in range(callers)))
    tokens = {granted.access_token for _, granted in answers}
    if len(tokens) != 1:
        raise RuntimeError(f"{len(tokens)} different tokens")
    return [seconds for seconds, _ in answers], answers[0][1]
