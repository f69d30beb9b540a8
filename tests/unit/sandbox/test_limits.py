"""The four limits, as pure bookkeeping."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sandbox.limits import MINUTE, Limiter, day_end
from sandbox.settings import Settings

START = datetime(2026, 6, 23, 6, 30, tzinfo=UTC)
LIMITS = Settings()


def test_five_may_be_in_flight() -> None:
    limiter = Limiter()
    assert [limiter.enter("a", START, LIMITS).problem for _ in range(6)] == [None] * 5 + ["concurrent"]
    assert limiter.enter("b", START, LIMITS).problem is None
    limiter.leave("a")
    assert limiter.enter("a", START, LIMITS).problem is None


def test_a_refusal_for_concurrency_names_no_wait() -> None:
    verdict = Limiter().enter("a", START, LIMITS.patched({"concurrent_calls": 0}))
    assert verdict.headers["X-Rate-Limit-Problem"] == "concurrent"
    assert "Retry-After" not in verdict.headers


def test_the_day_ends_at_the_tenants_own_hour() -> None:
    limiter, limits = Limiter(), LIMITS.patched({"calls_per_day": 1})
    limiter.enter("a", START, limits)
    limiter.leave("a")
    refused = limiter.enter("a", START + timedelta(seconds=1), limits)
    end = day_end("a", START)
    assert refused.problem == "day"
    assert int(refused.headers["Retry-After"]) == (end - START).total_seconds() - 1
    assert limiter.enter("a", end, limits).problem is None


def test_the_app_wide_minute_is_shared() -> None:
    limiter, limits = Limiter(), LIMITS.patched({"app_calls_per_minute": 2})
    assert limiter.enter("a", START, limits).problem is None
    assert limiter.enter_app(START, limits).problem is None
    assert limiter.enter("b", START, limits).problem == "appminute"
    assert limiter.enter_app(START, limits).problem == "appminute"


@given(st.lists(st.floats(0, 30), max_size=150))
def test_no_rolling_minute_ever_admits_more_than_the_limit(gaps: list[float]) -> None:
    limiter, now, admitted = Limiter(), START, []
    limits = LIMITS.patched({"calls_per_minute": 7, "concurrent_calls": 1000})
    for gap in gaps:
        now += timedelta(seconds=gap)
        if limiter.enter("a", now, limits).problem is None:
            admitted.append(now)
    for moment in admitted:
        assert sum(moment <= other < moment + MINUTE for other in admitted) <= 7
