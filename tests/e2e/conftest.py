"""One installation for the whole session; tests that break it make one of their own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.stack import Stack
from support.town import ALWAYS, LINKED, Town, running_stack, visit

POLICY = f"{ALWAYS}tenants: {{{', '.join(f'{tenant}: {{online_link: true}}' for tenant in LINKED)}}}\n"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("stack")
    scale = {"fetcher": 2, "token-broker": 2, "notifier": 2}
    with running_stack(folder, scale=scale, policy=POLICY) as running:
        yield running


@pytest.fixture
async def town(stack: Stack) -> AsyncIterator[Town]:
    """A fresh world around the session's installation."""
    async with visit(stack) as visited:
        await visited.sandbox.reset(keep_settings=True)
        yield visited


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The run under faults comes before the others' installation is there: two at once would only slow each other."""
    items.sort(key=lambda item: item.path.stem != "test_chaos")
