"""What Xero's answers say of its limits, and what is done about it."""

import httpx
import pytest

from fetcher.adapters.permits import Limit, Remaining
from fetcher.adapters.xero import Xero
from fetcher.purposes import Purpose
from shared.errors import RetryableError
from unit.fetcher.calling import Rig, limited, one_invoice
from unit.fetcher.samples import NOW, TENANT


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (limited(X_Rate_Limit_Problem="minute", Retry_After="17"), 17),
        (limited(X_Rate_Limit_Problem="Minute"), 10),
        (limited(X_Rate_Limit_Problem="concurrent"), 1),
        (limited(X_Rate_Limit_Problem="tuesdays"), 10),
        (limited(), 10),
        (limited(Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), 10),
    ],
)
async def test_a_minute_refusal_holds_the_tenant_and_then_asks_again(answer: httpx.Response, seconds: float) -> None:
    rig = Rig(answer, one_invoice())
    assert (await rig.read()).page is not None
    assert rig.permits.held == [seconds]
    assert Limit.DAY not in rig.permits.limits
    assert rig.permits.granted == 2


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (limited(X_Rate_Limit_Problem="Daily", Retry_After="66975"), 66975),
        (limited(X_Rate_Limit_Problem="day", Retry_After="3600", X_DayLimit_Remaining="0"), 3600),
        (limited(X_Rate_Limit_Problem="Daily"), 3600),
    ],
)
async def test_a_day_refusal_parks_the_tenant_until_the_time_xero_gave(answer: httpx.Response, seconds: float) -> None:
    rig = Rig(answer)
    with pytest.raises(RetryableError, match="tenant_held") as failure:
        await rig.read()
    assert (failure.value.retry_after, failure.value.counts, len(rig.requests)) == (seconds, False, 1)
    assert rig.permits.limits == [Limit.DAY]
    assert rig.figures.holds == ["day"]


async def test_refusals_without_end_are_left_to_the_delay_ladder() -> None:
    rig = Rig(limited(Retry_After="1"))
    with pytest.raises(RetryableError, match="xero_rate_limited") as failure:
        await rig.read()
    assert (failure.value.counts, len(rig.requests)) == (False, 3)


async def test_the_apps_limit_holds_everybody() -> None:
    rig = Rig(limited(X_Rate_Limit_Problem="appminute", Retry_After="12"), one_invoice())
    assert (await rig.read()).page is not None
    assert (rig.permits.held, rig.permits.limits) == ([12], [Limit.APP])


async def test_what_xero_leaves_of_each_limit_is_handed_on() -> None:
    answer = one_invoice()
    answer.headers.update(
        {"X-DayLimit-Remaining": "984", "X-MinLimit-Remaining": "59", "X-AppMinLimit-Remaining": "9999"}
    )
    rig = Rig(answer)
    await rig.read()
    assert rig.permits.remaining == [Remaining(minute=59, day=984, app=9999)]
    assert rig.figures.days_left == [984]


@pytest.mark.parametrize("text", ["", "-1", "many", "٣", "1.5"])
async def test_a_header_that_is_no_number_says_nothing(text: str) -> None:
    assert Remaining.of({"X-MinLimit-Remaining": text}) == Remaining()


async def test_an_answer_without_the_headers_teaches_nothing() -> None:
    rig = Rig(one_invoice())
    await rig.read()
    assert rig.permits.remaining == []


async def test_a_call_says_what_it_is_for_and_what_it_was() -> None:
    rig = Rig(one_invoice())
    await Xero(rig.calls, rig.sizes.append, Purpose.SWEEP).changed(TENANT, NOW, 1)
    assert rig.permits.purposes == [Purpose.SWEEP]
    [permit] = rig.permits.returned
    [(endpoint, purpose, status, size)] = rig.figures.calls
    assert (endpoint, purpose, status) == ("changes", Purpose.SWEEP, "200")
    assert (permit.endpoint, permit.received_bytes) == ("changes", size)
