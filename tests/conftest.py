"""Fixtures used everywhere: real servers once a session, and a fresh place inside them for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from shared.topology.declare import declare
from support.infra import DatabaseKind, Infra, fresh_database, fresh_redis, fresh_vhost, servers
from support.sizes import in_full

# A machine that is busy with something else makes no property false.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


ONE_DATABASE = frozenset(
    f"test_notifier_{name}"
    for name in (
        *("ambiguous", "approval", "clocks", "costs", "disorder", "kill_switch", "lessons", "links", "looks", "pace"),
        *("person", "probes", "senders", "statements", "stops", "templates", "turns", "unsettled", "wishes"),
    )
)
"""Their SQL is that of the other files: on PostgreSQL they run in the full size."""


class ByLayer(LoadScopeScheduling):  # type: ignore[misc]  # its package has no types
    """One test process has all installations, one all robbed token-brokers; of the other files each has one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        layer = file.split("/")[1]
        return layer if layer in {"e2e", "proof"} else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByLayer:
    return ByLayer(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not in_full():
        left_out = [item for item in items if item.path.stem in ONE_DATABASE and "[postgresql" in item.name]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def infra() -> Iterator[Infra]:
    """RabbitMQ, Redis and PostgreSQL: containers where an engine runs, private native servers elsewhere."""
    with servers() as running:
        yield running


@pytest.fixture
def empty_vhost(infra: Infra) -> Iterator[str]:
    """An administrator's AMQP URL of a virtual host with nothing in it."""
    with fresh_vhost(infra) as url:
        yield url


@pytest.fixture
async def amqp_url(empty_vhost: str) -> str:
    """The same with Duebell's topology declared."""
    await declare(empty_vhost)
    return empty_vhost


@pytest.fixture
def redis_url(infra: Infra) -> Iterator[str]:
    with fresh_redis(infra) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(infra: Infra, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """An empty database; every test that asks for it runs on both kinds."""
    kind: DatabaseKind = request.param
    async with fresh_database(infra, kind) as url:
        yield url
