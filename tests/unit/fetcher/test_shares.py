"""No tenant holds more of the hot lane than its share."""

import pytest

from fetcher.shares import AGAIN_SECONDS, TenantShares
from shared.errors import RetryableError


def test_a_tenant_beyond_its_share_comes_again_uncounted_while_others_are_let_in() -> None:
    shares = TenantShares(most=2)
    with shares.place("held"), shares.place("held"):
        with pytest.raises(RetryableError, match="tenant_crowded") as refused, shares.place("held"):
            pass
        assert (refused.value.retry_after, refused.value.counts) == (AGAIN_SECONDS, False)
        with shares.place("quiet"):
            pass
    with shares.place("held"), shares.place("held"):
        pass


def test_a_place_is_free_again_whatever_became_of_its_delivery() -> None:
    shares = TenantShares(most=1)
    for error in (RetryableError("xero_silent"), KeyError("a bug")):
        with pytest.raises(type(error)), shares.place("tenant"):
            raise error
    with shares.place("tenant"):
        pass
