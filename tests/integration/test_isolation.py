"""A stolen service at the token-broker's queues, keys and tables: the servers themselves refuse it."""

import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import aiormq
import asyncpg  # type: ignore[import-untyped]  # it has no stubs
import pytest
import redis
import sqlalchemy as sa
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.containers.databases import set_databases
from deploy.containers.holders import DATABASES
from deploy.servers.cache import COMMANDS
from deploy.servers.private import PrivateServers
from deploy.services import NAMES
from deploy.supervision import Supervisor
from fetcher.adapters.contact_cache import RedisContactCache
from fetcher.adapters.limiter import CallLimiter, Limits
from fetcher.adapters.pacing import SweepPacing
from fetcher.adapters.permits import Limit, Remaining
from fetcher.adapters.spending import Spending
from fetcher.adapters.webhook_records import RedisWebhookRecords
from fetcher.versions import Version
from shared.contracts import ConnectionEstablishedV1, ConnectionLostV1
from shared.contracts.invoices import Contact
from shared.runtime.redis import create_redis
from shared.topology import exchanges
from support.attempts import (
    ASK,
    IN_POSTGRESQL,
    ITS_QUEUES,
    KEY,
    LIST,
    OWNER,
    READ,
    SNEAK,
    VALUE,
    at_redis,
    at_the_broker,
    publishing,
)
from support.infra import Infra, service_urls
from token_broker.adapters.refresh_lock import RedisRefreshLock

pytestmark = pytest.mark.integration

ONCE = Retry(NoBackoff(), 0)
OTHERS = tuple(name for name in NAMES if name != OWNER)
others = pytest.mark.parametrize("service", OTHERS)

MAY_ASK = {"fetcher": {ASK, LIST}, "scheduler": {LIST}}


@asynccontextmanager
async def logged_in(url: str) -> AsyncIterator[aiormq.abc.AbstractConnection]:
    connection = await aiormq.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def depths(url: str) -> dict[str, int | None]:
    async with logged_in(url) as connection:
        channel = await connection.channel()
        return {queue: (await channel.queue_declare(queue, passive=True)).message_count for queue in ITS_QUEUES}


@others
async def test_a_stolen_rabbitmq_user_may_ask_what_its_service_asks_and_no_more(
    infra: Infra, amqp_url: str, service: str
) -> None:
    taken = set()
    async with logged_in(service_urls(infra, amqp_url)[service]) as connection:
        for what, attempt in at_the_broker(service).items():
            channel = await connection.channel(publisher_confirms=True)
            try:
                await attempt(channel)
                taken.add(what)
            except aiormq.exceptions.ChannelAccessRefused:
                assert channel.is_closed
    asks = MAY_ASK.get(service, set())
    assert taken == asks
    assert await depths(amqp_url) == dict(zip(ITS_QUEUES, (int(ASK in asks), int(LIST in asks), 0), strict=True))


async def test_the_token_broker_itself_reads_answers_and_tells(infra: Infra, amqp_url: str) -> None:
    urls = service_urls(infra, amqp_url)
    async with logged_in(urls["fetcher"]) as connection:
        await at_the_broker("fetcher")[ASK](await connection.channel(publisher_confirms=True))
    async with logged_in(urls[OWNER]) as connection:
        channel = await connection.channel(publisher_confirms=True)
        assert (await channel.basic_get(ITS_QUEUES[0], no_ack=True)).body == b"{}"
        await publishing("", "an.address.for.answers")(channel)
        for event in (ConnectionEstablishedV1, ConnectionLostV1):
            await publishing(exchanges.EVENTS, event.key)(channel)


@others
async def test_no_service_enters_another_virtual_host_or_the_management_pages(
    infra: Infra, amqp_url: str, service: str
) -> None:
    url = urlsplit(service_urls(infra, amqp_url)[service])
    with pytest.raises(aiormq.exceptions.AMQPError):
        await aiormq.connect(urlunsplit(url._replace(path="/%2F")))
    with infra.management() as administrator:
        assert administrator.is_ready()
        stolen = type(administrator)(infra.management_url, url.username or "", url.password or "")
        with stolen:
            assert not stolen.is_ready()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServers]:
    """A Redis with the users that every installation gets."""
    folder = tmp_path_factory.mktemp("isolation")
    private = PrivateServers(folder, ["redis"], services=NAMES)
    supervisor = Supervisor(folder, folder / "log", tied=True)
    programs = private.programs(print)
    try:
        supervisor.configure(programs)
        supervisor.start(programs[0].name)
        private.wait(supervisor, folder / "log")
        yield private
    finally:
        supervisor.shutdown()


def is_refused(client: "redis.Redis", words: list[str]) -> bool:
    """Whether for want of a right; a command that this server gives to nobody counts too."""
    try:
        client.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py does not say
    except redis.exceptions.NoPermissionError:
        return True
    except redis.ResponseError as error:
        return re.search("user executing the script can't access|command not allowed", str(error)) is not None
    return False


@others
def test_a_stolen_redis_user_reaches_its_own_keys_and_no_more(installed: PrivateServers, service: str) -> None:
    own = f"duebell:{service}:a"
    with (
        redis.Redis.from_url(installed.redis.url(), decode_responses=True) as administrator,
        redis.Redis.from_url(installed.redis.url(service), decode_responses=True) as stolen,
    ):
        administrator.flushall()
        administrator.set(KEY, VALUE)
        assert stolen.set(own, "1")
        shas = {"LOCK": str(administrator.script_load(READ)), "SNEAK": str(stolen.script_load(SNEAK))}
        attempts = at_redis(service, shas)
        assert [words for words in attempts if not is_refused(stolen, words)] == []
        assert administrator.get(KEY) == VALUE
        assert administrator.ttl(KEY) == -1
        assert sorted(administrator.keys("*")) == sorted([KEY, own])
        assert stolen.evalsha(shas["LOCK"], 1, own) == stolen.evalsha(shas["SNEAK"], 0, own) == "1"


async def test_the_token_brokers_lock_works_with_its_own_user(installed: PrivateServers) -> None:
    async with create_redis(installed.redis.url(OWNER)) as own, create_redis(installed.redis.url()) as administrator:
        async with RedisRefreshLock(own, 30, 50).hold("grant-2") as held:
            assert held
            assert await administrator.exists("duebell:token-broker:refresh:grant-2")
        assert not await administrator.exists("duebell:token-broker:refresh:grant-2")


async def test_the_fetchers_cache_works_with_its_own_user(installed: PrivateServers) -> None:
    """Scripts in a pipeline are looked for before they are run."""
    contact = Contact(contact_id="c1", name="Asha", status="ACTIVE", phone="+919876543210", no_phone_reason=None)
    async with create_redis(installed.redis.url("fetcher")) as own:
        cache = RedisContactCache(own)
        await cache.keep("tenant", [contact], datetime(2026, 6, 23, tzinfo=UTC))
        assert await cache.find("tenant", ["c1"]) == {"c1": contact}


async def test_the_fetchers_account_of_webhooks_works_with_its_own_user(installed: PrivateServers) -> None:
    now = datetime.now(UTC)
    version = Version("tenant", "invoice", now.replace(microsecond=0))
    async with create_redis(installed.redis.url("fetcher")) as own:
        records = RedisWebhookRecords(own, lambda: now)
        assert await records.note("tenant", {"invoice": now}, [version]) == 1
        assert (await records.heard("tenant", [version])).read == {version}
        await records.suspect([version], now)
        assert await records.settle(await records.suspects(now, 10), [version]) == 1
        assert await records.missed() == [version]
        assert await records.may_announce()
        assert not await records.end_silence()


async def test_the_limiter_and_its_figures_need_no_more_than_the_fetcher_may_say(installed: PrivateServers) -> None:
    async with create_redis(installed.redis.url("fetcher")) as own:
        limiter = CallLimiter(own, Limits(60, 5, 1000))
        async with limiter.permit("tenant") as permit:
            await limiter.learn(permit, Remaining(minute=30, day=900, app=9000))
        pacing = SweepPacing(own, limiter.day_left, 1000, lambda: None)
        await pacing.ended("tenant")
        assert await pacing.may_reconcile("tenant")
        await limiter.hold("tenant", 60, Limit.DAY)
        [spent] = await Spending(own, limiter).tenants()
        assert (spent.tenant_id, spent.held) == ("tenant", "day")


@pytest.mark.parametrize("user", [None, "default", "administrator", OWNER])
def test_redis_lets_nobody_in_without_the_password_of_a_user(installed: PrivateServers, user: str | None) -> None:
    url = urlsplit(installed.redis.url())
    wrong = [password for name, password in installed.passwords.items() if name != user]
    for password in (None, "", *wrong):
        with redis.Redis(url.hostname or "", url.port or 0, 0, password, username=user, retry=ONCE) as nobody:
            with pytest.raises(redis.AuthenticationError):
                nobody.ping()


def test_no_redis_user_of_a_service_holds_a_dangerous_command(installed: PrivateServers) -> None:
    with redis.Redis.from_url(installed.redis.url(), decode_responses=True) as administrator:
        forbidden = {word for category in ("admin", "dangerous", "pubsub") for word in administrator.acl_cat(category)}
    assert forbidden.isdisjoint(COMMANDS)
    assert {"keys", "flushall", "config|set", "client|kill"} <= forbidden


@pytest.fixture
async def databases(infra: Infra) -> AsyncIterator[dict[str, str]]:
    """Database → the URL of its owner, made by what the installation runs."""
    passwords = {database: secrets.token_urlsafe(12) for database in DATABASES.values()}
    server = urlsplit(infra.postgresql_server)
    engine = create_async_engine(server._replace(scheme="postgresql+asyncpg").geturl(), isolation_level="AUTOCOMMIT")
    async with engine.connect() as administrator:
        try:
            await set_databases(administrator, dict.fromkeys(passwords, "an-older-password"))
            for name in passwords:
                await administrator.execute(sa.text(f"ALTER ROLE {name} SUPERUSER CREATEROLE CREATEDB"))
            await set_databases(administrator, passwords)
            at = f"{server.hostname}:{server.port}"
            yield {name: f"postgresql://{name}:{password}@{at}/{name}" for name, password in passwords.items()}
        finally:
            for name in passwords:
                await administrator.execute(sa.text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            for name in passwords:
                await administrator.execute(sa.text(f"DROP ROLE IF EXISTS {name}"))
    await engine.dispose()


@pytest.mark.parametrize(("own", "foreign"), [("notifier", "token_broker"), ("token_broker", "notifier")])
async def test_a_role_enters_its_own_database_alone(databases: dict[str, str], own: str, foreign: str) -> None:
    for database in (foreign, "postgres", "template1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(urlsplit(databases[own])._replace(path=f"/{database}").geturl())
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(databases[foreign].replace(f"//{foreign}:", f"//{own}:"))
    connection = await asyncpg.connect(databases[own])
    try:
        await connection.execute("CREATE TABLE kept (id integer); INSERT INTO kept VALUES (1)")
        assert await connection.fetchval("SELECT count(*) FROM kept") == 1
        for statement in IN_POSTGRESQL:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement.format(own=own, foreign=foreign))
    finally:
        await connection.close()


def test_the_attempts_are_many() -> None:
    assert sum(len(at_the_broker(service)) for service in OTHERS) > 150
    assert len(OTHERS) * len(at_redis("fetcher", {})) > 400
