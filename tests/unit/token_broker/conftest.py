"""A replica on a fresh SQLite file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from unit.token_broker.assembly import Replica, open_replica
from unit.token_broker.strict_xero import StrictXero


@pytest.fixture
def xero() -> StrictXero:
    return StrictXero()


@pytest.fixture
async def replica(tmp_path: Path, xero: StrictXero) -> AsyncIterator[Replica]:
    async with open_replica(f"sqlite:///{tmp_path / 'broker.db'}", xero) as opened:
        yield opened
