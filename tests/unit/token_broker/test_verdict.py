"""What a record says about a request for a token, and the rules between the times."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.errors import ConfigurationError
from token_broker.handout import Verdict, seconds_to_wait, verdict
from token_broker.ports import Grant
from token_broker.timing import RefreshTiming
from unit.token_broker.assembly import NOON

TIMING = RefreshTiming()


def make_grant(left: float = 1000, *, lifetime: float = 1800, wait: float | None = None, **changes: object) -> Grant:
    grant = Grant(
        id="grant-1",
        generation=3,
        lost=False,
        access_token=SecretStr("token"),
        refreshed_at=NOON + timedelta(seconds=left - lifetime),
        expires_at=NOON + timedelta(seconds=left),
        not_before=None if wait is None else NOON + timedelta(seconds=wait),
        claimed_until=None,
        refusals=0,
        read_at=NOON,
    )
    return replace(grant, **changes)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("grant", "refused", "expected"),
    [
        (make_grant(1800), False, Verdict.GIVE),
        (make_grant(120), False, Verdict.GIVE),
        (make_grant(119), False, Verdict.REFRESH),
        (make_grant(-5), False, Verdict.REFRESH),
        (make_grant(1800), True, Verdict.REFRESH),
        (make_grant(1800, wait=3), True, Verdict.LATER),
        (make_grant(1800, wait=3), False, Verdict.GIVE),
        (make_grant(10, wait=3), False, Verdict.LATER),
        (make_grant(10, wait=-1), False, Verdict.REFRESH),
        (make_grant(10, wait=3, refusals=1), False, Verdict.REFRESH),
        (make_grant(1800, lost=True), False, Verdict.RECONNECT),
        (make_grant(3, lifetime=3), False, Verdict.GIVE),
        (make_grant(0, lifetime=0), False, Verdict.REFRESH),
    ],
)
def test_the_verdict(grant: Grant, refused: bool, expected: Verdict) -> None:
    assert verdict(grant, refused, TIMING) is expected


@given(st.floats(-2000, 2000), st.floats(0, 2000), st.booleans(), st.none() | st.floats(-100, 100))
def test_an_expired_or_refused_token_is_never_given(
    left: float, lifetime: float, refused: bool, wait: float | None
) -> None:
    found = verdict(make_grant(left, lifetime=lifetime, wait=wait), refused, TIMING)
    assert found is not Verdict.GIVE or (left > 0 and not refused)


def test_the_wait_is_what_the_record_says_and_never_nothing() -> None:
    assert seconds_to_wait(make_grant(wait=30)) == 30
    assert seconds_to_wait(make_grant(wait=-30)) == 2
    assert seconds_to_wait(make_grant()) == 2


@pytest.mark.parametrize("change", [{"claim_seconds": 25.0}, {"lock_seconds": 25.0}, {"deadline_seconds": 55.0}])
def test_a_claim_or_lock_that_can_lapse_during_a_request_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="must outlive"):
        RefreshTiming(**change)


def test_a_claim_that_is_too_old_may_not_send() -> None:
    assert TIMING.may_send(24.9)
    assert not TIMING.may_send(25)


@given(st.integers(0, 10_000), st.none() | st.floats(0, 900), st.floats(0, 1))
def test_backoff_grows_within_bounds_and_respects_xero(failures: int, asked: float | None, chance: float) -> None:
    wait = TIMING.backoff(failures, asked, chance)
    assert max(30, asked or 0) <= wait <= 1.25 * max(300, asked or 0)
