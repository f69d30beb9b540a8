"""No tenant holds more of the hot lane than its share, nor for longer than its time."""

import asyncio

import pytest

from fetcher.shares import AGAIN_SECONDS, TenantShares
from shared.errors import RetryableError


async def test_a_tenant_beyond_its_share_comes_again_uncounted_while_others_are_let_in() -> None:
    shares = TenantShares(most=2)
    async with shares.place("held"), shares.place("held"):
        with pytest.raises(RetryableError, match="tenant_crowded") as refused:
            async with shares.place("held"):
                pass
        assert (refused.value.retry_after, refused.value.counts) == (AGAIN_SECONDS, False)
        async with shares.place("quiet"):
            pass
    async with shares.place("held"), shares.place("held"):
        pass


async def test_a_place_is_free_again_whatever_became_of_its_delivery() -> None:
    shares = TenantShares(most=1)
    for error in (RetryableError("xero_silent"), KeyError("a bug")):
        with pytest.raises(type(error)):
            async with shares.place("tenant"):
                raise error
    async with shares.place("tenant"):
        pass


async def test_who_waits_too_long_gives_its_place_to_others() -> None:
    shares = TenantShares(most=1, seconds=0.01)
    with pytest.raises(RetryableError, match="tenant_slow") as refused:
        async with shares.place("slow"):
            await asyncio.Event().wait()
    assert not refused.value.counts
    async with shares.place("slow"):
        pass
