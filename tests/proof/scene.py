"""Several token-brokers around one database, one Redis and one sandbox, which alone judges what they did."""

import asyncio
import base64
import itertools
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from signal import Signals
from typing import Any, Literal

import httpx
import sqlalchemy as sa
from aio_pika.abc import AbstractIncomingMessage
from pydantic import SecretStr
from redis.asyncio import Redis

from proof.stage import Stage
from sandbox.client import Sandbox
from shared.clients.token_broker import TokenBrokerClient, open_token_broker_client
from shared.contracts.connections import ConnectionLostV1
from shared.contracts.tokens import TokenGranted, TokenRefusal, TokenRefused
from shared.errors import RetryableError
from shared.runtime.clock import utc_now
from shared.runtime.database import create_engine
from shared.runtime.redis import create_redis
from shared.topology import exchanges
from support.broker import Broker, open_broker
from support.dying import Points
from support.infra import DatabaseKind, fresh_database, fresh_redis
from support.replicas import Plan, Replica, replica, start_sandbox
from support.waiting import eventually
from token_broker.adapters.transactions import Database
from token_broker.links import LinkSigner
from token_broker.tables import connections, grants
from token_broker.timing import RefreshTiming

Mode = Literal["strict", "xero"]
Answer = TokenGranted | TokenRefused | RetryableError

ADMIN_SECRET = "an admin secret for tests"
TOKEN_KEYS = "k1:" + base64.b64encode(b"k" * 32).decode()
LOCK_KEY = "duebell:token-broker:refresh:{grant_id}"
GRACE_SECONDS = {"strict": 0.0, "xero": 1800.0}
"""Of the token-brokers, as it is true of the sandbox in that mode."""

SHORT = {
    "deadline_seconds": 1.0,
    "margin_seconds": 0.2,
    "lock_seconds": 1.5,
    "claim_seconds": 2.0,
    "patience_seconds": 1.5,
    "confirm_seconds": 0.3,
    "first_backoff_seconds": 0.5,
}
"""For tests that wait until something lapses."""

_ASK_AGAIN_SECONDS = 0.1
_LANE_SECONDS = 2.0
"""Longer than the shortened patience of a replica; one that is stopped never answers."""


@dataclass(frozen=True)
class Verdict:
    """What the sandbox counted: refreshes it accepted, refresh tokens that came again, rules that were broken."""

    accepted: int
    reuse: int
    breaches: int

    def since(self, before: "Verdict") -> "Verdict":
        return Verdict(self.accepted - before.accepted, self.reuse - before.reuse, self.breaches - before.breaches)


@dataclass
class Scene:
    sandbox: Sandbox
    http: httpx.AsyncClient
    broker: Broker
    askers: Sequence[TokenBrokerClient]
    replicas: Sequence[Replica]
    database: Database
    redis: Redis
    environment: Mapping[str, str]
    points: Points
    lost: "asyncio.Queue[AbstractIncomingMessage]"
    sent_away: int = 0
    """How often callers that persist had to ask again."""
    _turns: Iterator[int] = field(default_factory=itertools.count)
    _users: dict[str, str] = field(default_factory=dict)
    _names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def connect(self) -> str:
        """A tenant of a Xero user of its own, connected by the whole journey of a consent."""
        number = next(self._names)
        tenant = str((await self.sandbox.organisation(f"Organisation {number}"))["tenant_id"])
        self._users[tenant] = f"user-{number}"
        await self.consent(tenant)
        return tenant

    async def consent(self, tenant: str, link: str | None = None) -> None:
        """The journey from ``link``, by default a new one."""
        signer = LinkSigner(self.redirect_uri.removesuffix("/callback") + "/connect", SecretStr(ADMIN_SECRET))
        login = await self._visit(link or signer.new(utc_now(), timedelta(hours=1)))
        assert login.status_code == 302, login.text
        back = await self.sandbox.consent(login.headers["location"], organisations=[tenant], user=self._users[tenant])
        page = await self._visit(back)
        assert page.status_code == 200, page.text

    async def _visit(self, url: str) -> httpx.Response:
        """At a replica that is awake, as a load balancer would choose it."""
        awake = next(each for each in self.replicas if each.is_alive() and not each.is_stopped())
        return await self.http.get(httpx.URL(url).copy_with(host="127.0.0.1", port=awake.port))

    async def expire(self, *tenants: str) -> None:
        """The tenants' access tokens (all, when none is named) run out now, and nothing forbids a refresh."""
        change = sa.update(grants).values(expires_at=grants.c.refreshed_at, not_before=None)
        if tenants:
            owners = sa.select(connections.c.grant_id).where(connections.c.tenant_id.in_(tenants))
            change = change.where(grants.c.id.in_(owners))
        async with self.database.transaction() as work:
            await work.connection.execute(change)

    async def row(self, tenant: str) -> Mapping[str, Any]:
        """The tenant's grant as it is stored."""
        query = (
            sa.select(grants)
            .join(connections, connections.c.grant_id == grants.c.id)
            .where(connections.c.tenant_id == tenant)
        )
        async with self.database.transaction() as work:
            return dict((await work.connection.execute(query)).mappings().one())

    async def generation(self, tenant: str) -> int:
        return int((await self.row(tenant))["generation"])

    async def lock_key(self, tenant: str) -> str:
        return LOCK_KEY.format(grant_id=(await self.row(tenant))["id"])

    async def ask(self, tenant: str, timeout: float = 10) -> Answer:
        """What one caller hears; the error when it hears nothing in time."""
        asker = self.askers[next(self._turns) % len(self.askers)]
        try:
            return await asker.access(tenant, timeout=timeout)
        except RetryableError as error:
            return error

    async def persist(self, tenant: str, seconds: float = 60) -> Answer:
        """What one caller hears who asks again as the services do: when told to, and when there was no answer."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            answer = await self.ask(tenant)
            later = isinstance(answer, TokenRefused) and answer.reason is TokenRefusal.TRY_LATER
            silent = isinstance(answer, RetryableError)
            if not (later or silent) or asyncio.get_running_loop().time() > end:
                return answer
            self.sent_away += 1
            await asyncio.sleep(getattr(answer, "retry_after", None) or _ASK_AGAIN_SECONDS)

    async def ask_many(self, tenant: str, callers: int, timeout: float = 10) -> list[Answer]:
        """All at once. RabbitMQ spreads them evenly over the replicas that consume."""
        return await asyncio.gather(*(self.ask(tenant, timeout) for _ in range(callers)))

    @asynccontextmanager
    async def asking(self, tenant: str, callers: int) -> AsyncIterator["asyncio.Future[list[Answer]]"]:
        """Callers that wait for their answers meanwhile."""
        asked = asyncio.ensure_future(self.ask_many(tenant, callers))
        try:
            yield asked
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    async def served(self, tenant: str, seconds: float = 60) -> str:
        """The token that is handed out again, by whichever replica does so first."""
        async with self.wanted(tenant) as lanes:
            done, _ = await asyncio.wait(lanes, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            assert done, "nobody was given a token"
            return done.pop().result()

    @asynccontextmanager
    async def wanted(self, tenant: str) -> AsyncIterator[list["asyncio.Task[str]"]]:
        """Meanwhile callers ask until they are given a token, as many as there are replicas."""
        lanes = [asyncio.create_task(self._granted(tenant)) for _ in self.replicas]
        try:
            yield lanes
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)

    async def _granted(self, tenant: str) -> str:
        while True:
            answer = await self.ask(tenant, timeout=_LANE_SECONDS)
            if isinstance(answer, TokenGranted):
                return token_of(answer)
            await asyncio.sleep(_ASK_AGAIN_SECONDS)

    async def announced(self, tenant: str, seconds: float = 60) -> ConnectionLostV1:
        """The next connection.lost.v1 of the tenant."""
        async with asyncio.timeout(seconds):
            while True:
                event = ConnectionLostV1.model_validate_json((await self.lost.get()).body)
                if event.tenant_id == tenant:
                    return event

    async def everyone_gives(self, tenant: str, token: str) -> None:
        """Every replica answers twice, and with this token."""
        answers = await self.ask_many(tenant, 2 * len(self.replicas))
        assert {token_of(answer) for answer in answers} == {token}

    async def verdict(self) -> Verdict:
        summary = await self.sandbox.summary()
        return Verdict(summary["token_refreshes"], summary["token_reuse"], summary["breaches"])

    async def hold_next_refresh(self, seconds: float) -> None:
        """The next request to the token endpoint takes this long, and then has its effect."""
        await self.sandbox.faults([{"on": "xero.token", "effect": "latency", "seconds": seconds, "times": 1}])

    async def lose_next_answer(self, seconds: float) -> None:
        """The next request to the token endpoint has its effect at once, and its answer never comes."""
        fault = {"on": "xero.token", "effect": "lose_answer_after_effect", "seconds": seconds, "times": 1}
        await self.sandbox.faults([fault])

    async def struck(self, seconds: float = 15) -> None:
        """A request is in the hands of the fault that was switched on last."""

        async def hit() -> bool:
            rows = (await self.http.get(f"{self.sandbox.base_url}/sandbox/faults")).json()["faults"]
            return bool(rows[-1]["struck"])

        await eventually(hit, seconds=seconds, what="a request that is held")

    async def accepted(self, count: int, seconds: float = 15) -> None:
        async def reached() -> bool:
            return (await self.verdict()).accepted >= count

        await eventually(reached, seconds=seconds, what=f"{count} accepted refreshes")

    async def restart_the_dead(self) -> None:
        dead = [each for each in self.replicas if not each.is_alive()]
        for each in dead:
            each.process.join()
            each.start()
        await asyncio.gather(*(each.ready(self.http) for each in dead))

    @property
    def redirect_uri(self) -> str:
        return self.environment["DUEBELL_XERO_REDIRECT_URI"]

    def dead(self) -> list[Replica]:
        return [each for each in self.replicas if not each.is_alive()]

    async def one_stopped(self, seconds: float = 15) -> Replica:
        """The replica that stopped itself at an armed point."""

        def stopped() -> Replica | None:
            return next((each for each in self.replicas if each.is_stopped()), None)

        await eventually(lambda: not self.points.is_armed(), seconds=seconds, what="a replica at the armed point")
        found: Replica = await eventually(stopped, what="a stopped replica")
        return found

    async def one_dead(self, seconds: float = 15) -> Replica:
        found: Replica = await eventually(lambda: next(iter(self.dead()), None), seconds=seconds, what="a dead replica")
        return found

    async def finish(self) -> None:
        """An orderly stop of all replicas, so that whatever was still under way has ended."""
        for each in self.replicas:
            if each.is_alive():
                each.signal(Signals.SIGTERM)
        await asyncio.gather(*(asyncio.to_thread(each.process.join, 30) for each in self.replicas))
        assert [each.process.exitcode for each in self.replicas] == [0] * len(self.replicas)


def token_of(answer: Answer) -> str:
    assert isinstance(answer, TokenGranted), answer
    return answer.access_token.get_secret_value()


@asynccontextmanager
async def open_scene(
    stage: Stage,
    folder: Path,
    kind: DatabaseKind,
    mode: Mode,
    *,
    replicas: int = 2,
    connections_of_askers: int = 2,
    timing: Mapping[str, float] | None = None,
    redis_url: str | None = None,
) -> AsyncIterator[Scene]:
    """A virtual host of its own, and all else new: a database, a Redis database, a sandbox, ``replicas`` processes."""
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        host = await stack.enter_async_context(stage.host())
        redis_url = redis_url or stack.enter_context(fresh_redis(stage.infra))
        database_url = await stack.enter_async_context(fresh_database(stage.infra, kind))
        child, xero = await start_sandbox(folder)
        stack.callback(child.end)
        # Without kept connections: one that a slow moment has let grow old is closed under the next request.
        alone = httpx.AsyncClient(trust_env=False, timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
        http = await stack.enter_async_context(alone)
        sandbox = Sandbox(xero, http)
        await sandbox.settings(mode=mode)
        ports = [_free_port() for _ in range(replicas)]
        redirect_uri = f"http://localhost:{ports[0]}/callback"
        points = Points(folder / "points")
        environment = {
            "DUEBELL_AMQP_URL": host.users["token-broker"],
            "DUEBELL_REDIS_URL": redis_url,
            "DUEBELL_TOKEN_BROKER_DATABASE_URL": database_url,
            "DUEBELL_TOKEN_KEYS": TOKEN_KEYS,
            "DUEBELL_ADMIN_SECRET": ADMIN_SECRET,
            "DUEBELL_XERO_CLIENT_ID": "sandbox-client",
            "DUEBELL_XERO_CLIENT_SECRET": "sandbox-secret",
            "DUEBELL_XERO_REDIRECT_URI": redirect_uri,
            "DUEBELL_XERO_API_URL": xero,
            "DUEBELL_XERO_IDENTITY_URL": xero,
            "DUEBELL_XERO_LOGIN_URL": xero,
            "DUEBELL_XERO_REFRESH_GRACE_SECONDS": f"{GRACE_SECONDS[mode]:g}",
        }
        times = RefreshTiming(**(timing or {}))
        running = []
        for number, port in enumerate(ports, 1):
            own = {"DUEBELL_TOKEN_BROKER_PORT": str(port)}
            plan = Plan(environment | own, folder / f"token-broker-{number}.log", times, points)
            running.append(replica(plan, port))
            running[-1].start()
            stack.callback(running[-1].end)
        await asyncio.gather(*(each.ready(http) for each in running))
        engine = create_engine(database_url)
        stack.push_async_callback(engine.dispose)
        redis = create_redis(redis_url)
        stack.push_async_callback(redis.aclose)
        broker = await stack.enter_async_context(open_broker(host.url))
        askers = []
        for _ in range(connections_of_askers):
            asker = await stack.enter_async_context(open_broker(host.users["fetcher"]))
            askers.append(await stack.enter_async_context(open_token_broker_client(asker.connection)))
        lost = await broker.collect(exchanges.EVENTS, ConnectionLostV1.key)
        yield Scene(sandbox, http, broker, askers, running, Database(engine, utc_now), redis, environment, points, lost)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
