"""One stage for the whole session."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from proof.stage import Stage
from support.infra import Infra


@pytest.fixture(scope="session")
def stage(infra: Infra) -> Iterator[Stage]:
    with ExitStack() as cleanup:
        yield Stage(infra, cleanup)
