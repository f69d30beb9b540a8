"""Each way in which Xero may fail has one outcome, which the fetcher's page states."""

import asyncio
import gzip
import re
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx
import pytest

from deploy.paths import ROOT
from fetcher.adapters.answers import MOST_BYTES
from fetcher.adapters.permits import Limit
from fetcher.adapters.xero import Xero
from fetcher.contacts import ContactDirectory
from fetcher.organisations import OrganisationDirectory
from fetcher.purposes import Purpose
from fetcher.readings import InvoiceReader
from fetcher.troubles import LONGEST_SECONDS
from shared.contracts.base import Event
from shared.contracts.tokens import TokenRefusal, TokenRefused
from shared.errors import RetryableError
from shared.runtime.outcomes import Bury, Delay, Outcome, outcome_of
from shared.topology.delays import LADDER, rung_for_delay, rung_towards
from unit.fetcher.calling import Answer, Rig, forbidden, limited, refused
from unit.fetcher.samples import INDIA, TENANT, FakeContactCache, FakeOrganisationCache, guid

JSON = {"Content-Type": "application/json"}
EXPIRED = "TokenExpired: token expired at 04/09/2023 05:16:59"
OFFLINE = "The Xero API is currently offline for maintenance"
NOT_FOUND = "The resource you're looking for cannot be found"
BOMB = gzip.compress(b" " * (MOST_BYTES + 1), 1)
UNAVAILABLE, UNREADABLE = "xero_unavailable", "xero_answer_unreadable"


async def half() -> AsyncIterator[bytes]:
    yield b'{"Invoices": ['
    raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


async def endless() -> AsyncIterator[bytes]:
    yield b'{"Invoices": ['
    await asyncio.Event().wait()


def ladder(reason: str) -> Delay:
    """The next try in a second; one of eight attempts is used up."""
    return Delay(LADDER[0], 1, reason)


def waits(seconds: float, reason: str) -> Delay:
    """No attempt is used up."""
    return Delay(rung_towards(seconds), 0, reason)


@dataclass(frozen=True)
class Case:
    """``answer`` makes Xero's answer to every call; what follows is what comes of it."""

    answer: Callable[[], Answer]
    outcome: Outcome
    calls: int = 1
    held: tuple[tuple[float, Limit], ...] = ()
    new_token: bool = False
    connection: TokenRefused | None = None
    """What the token-broker says after a 403; None: connected."""
    asks_whether_connected: bool = False


def response(status: int, **content: object) -> Callable[[], httpx.Response]:
    return lambda: httpx.Response(status, **content)  # type: ignore[arg-type]  # each case gives what it needs


RECONNECT = TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)
MINUTE, DAY, CONCURRENT, APP = Limit.MINUTE, Limit.DAY, Limit.CONCURRENT, Limit.APP
OUTAGE, CONSENT = Limit.OUTAGE, Limit.CONSENT
BRIEFLY = ((1, OUTAGE),)
CASES = {
    "401": Case(lambda: refused(EXPIRED), ladder("token_refused"), calls=2, new_token=True),
    "401 scope": Case(
        lambda: refused("AuthorizationUnsuccessful"), waits(300, "scope_missing"), held=((300, CONSENT),)
    ),
    "403 disconnected": Case(
        forbidden, waits(60, "reconnect_needed"), connection=RECONNECT, asks_whether_connected=True
    ),
    "403 connected": Case(forbidden, waits(300, "forbidden"), asks_whether_connected=True, held=((300, CONSENT),)),
    "400": Case(response(400, json={"ErrorNumber": 51}), Bury("xero_refused_question")),
    "404": Case(response(404, text=NOT_FOUND), Bury("invoice_not_found")),
    "429 minute": Case(
        lambda: limited(X_Rate_Limit_Problem="minute", Retry_After="17"),
        waits(60, "xero_rate_limited"),
        calls=3,
        held=((17, MINUTE),) * 3,
    ),
    "429 day": Case(
        lambda: limited(X_Rate_Limit_Problem="day", Retry_After="5000"),
        waits(5000, "tenant_held"),
        held=((5000, DAY),),
    ),
    "429 concurrent": Case(
        lambda: limited(X_Rate_Limit_Problem="concurrent"),
        waits(60, "xero_rate_limited"),
        calls=3,
        held=((1, CONCURRENT),) * 3,
    ),
    "429 app": Case(
        lambda: limited(X_Rate_Limit_Problem="appminute", Retry_After="12"),
        waits(60, "xero_rate_limited"),
        calls=3,
        held=((12, APP),) * 3,
    ),
    "429 unnamed": Case(limited, waits(60, "xero_rate_limited"), calls=3, held=((10, MINUTE),) * 3),
    "500": Case(response(500, json={"Title": "oops", "Status": 500}), ladder(UNAVAILABLE), held=BRIEFLY),
    "503 plain text": Case(response(503, text=OFFLINE), ladder(UNAVAILABLE), held=BRIEFLY),
    "502 HTML": Case(response(502, html="<html>Bad Gateway</html>"), ladder(UNAVAILABLE), held=BRIEFLY),
    "redirect": Case(response(302, headers={"Location": "https://elsewhere.test/"}), ladder(UNAVAILABLE)),
    "200 HTML": Case(response(200, html="<html>sorry</html>"), ladder(UNREADABLE), held=BRIEFLY),
    "wrong content type": Case(response(200, text='{"Invoices": []}'), ladder(UNREADABLE), held=BRIEFLY),
    "broken JSON": Case(response(200, text='{"Invoices": [', headers=JSON), ladder(UNREADABLE)),
    "503 that says when": Case(
        lambda: httpx.Response(503, text=OFFLINE, headers={"Retry-After": "40"}),
        Delay(rung_for_delay(40), 1, UNAVAILABLE),
        held=((40, OUTAGE),),
    ),
    "no list": Case(response(200, json={"Status": "OK"}), ladder(UNREADABLE)),
    "null for a list": Case(response(200, json={"Invoices": None}), ladder(UNREADABLE)),
    "too large": Case(
        lambda: httpx.Response(200, content=BOMB, headers={**JSON, "Content-Encoding": "gzip"}),
        ladder("xero_answer_too_large"),
    ),
    "unknown coding": Case(
        response(200, content=b"{}", headers={**JSON, "Content-Encoding": "br"}), ladder(UNREADABLE)
    ),
    "cut coding": Case(
        response(200, content=gzip.compress(b"{}")[:-9], headers={**JSON, "Content-Encoding": "gzip"}),
        ladder(UNREADABLE),
    ),
    "cut": Case(lambda: httpx.Response(200, content=half(), headers=JSON), ladder("xero_unreachable"), held=BRIEFLY),
    "no connection": Case(lambda: httpx.ConnectError("refused"), ladder("xero_unreachable"), held=BRIEFLY),
    "slow": Case(
        lambda: httpx.Response(200, content=endless(), headers=JSON), ladder("xero_timeout"), held=((10, OUTAGE),)
    ),
}


async def reading(rig: Rig, *numbers: int) -> dict[str, object]:
    """What the use case makes of the adapter's answers."""

    async def announce(event: Event) -> None:
        raise AssertionError(event.key)

    organisations = FakeOrganisationCache()
    organisations.kept[TENANT] = INDIA
    reader = InvoiceReader(
        rig.xero,
        ContactDirectory(rig.xero, FakeContactCache(), rig.clock),
        OrganisationDirectory(rig.xero, organisations, announce, rig.clock),
    )
    return dict(await reader.read(TENANT, lambda: [guid(number) for number in numbers]))


async def outcome(rig: Rig) -> Outcome:
    try:
        [found] = (await reading(rig, 1)).values()
    except Exception as error:
        found = error
    assert isinstance(found, Exception)
    return outcome_of(found, 0)


@pytest.mark.parametrize("name", CASES)
async def test_a_fault_has_its_outcome(name: str) -> None:
    case = CASES[name]
    rig = Rig(case.answer, call_seconds=0.05 if name == "slow" else 30)
    rig.broker.forbidden = [case.connection]
    assert await outcome(rig) == case.outcome
    assert len(rig.requests) == case.calls
    assert tuple(zip(rig.permits.held, rig.permits.limits, strict=True)) == case.held
    assert (rig.broker.serial > 1, rig.broker.asked_forbidden) == (case.new_token, int(case.asks_whether_connected))
    assert rig.permits.inside == 0
    assert {request.url.host for request in rig.requests} == {"xero.test"}


async def test_a_too_long_question_is_halved_until_each_id_was_asked_for_alone() -> None:
    rig = Rig(httpx.Response(404, text=NOT_FOUND))
    found = await reading(rig, 1, 2, 3, 4)
    assert {str(error) for error in found.values()} == {"invoice_not_found"}
    assert rig.sizes == [4, 2, 2, 1, 1, 1, 1]


async def test_a_list_that_is_not_found_is_tried_again() -> None:
    rig = Rig(httpx.Response(404, text=NOT_FOUND))
    xero = Xero(rig.calls, rig.sizes.append, Purpose.SWEEP)
    with pytest.raises(Exception, match=UNAVAILABLE) as failure:
        await xero.changed(TENANT, rig.clock.now, 1)
    assert outcome_of(failure.value, 0) == ladder(UNAVAILABLE)


def test_the_page_states_every_outcome() -> None:
    page = (ROOT / "services/fetcher/README.md").read_text()
    section = page.partition("## What Xero may answer")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", section))
    assert named >= {case.outcome.reason for case in CASES.values()}


async def test_an_outage_is_waited_out_and_what_fails_between_answers_is_counted() -> None:
    """Only while nothing of the tenant's is answered is Xero itself out of order."""
    rig = Rig(httpx.Response(503, text=OFFLINE))
    outcomes = []
    for _ in range(9):
        rig.clock.advance(400)
        rig.permits.longest_hold = LONGEST_SECONDS
        outcomes.append(await outcome(rig))
    assert [type(found) for found in outcomes] == [Delay] * 9
    assert [found.attempt for found in outcomes if isinstance(found, Delay)] == [1, *[0] * 8]
    assert rig.permits.held == [1, 2, 4, 8, 16, 32, 64, 128, 240]
    rig.answers = [response(404, text=NOT_FOUND), response(503, text=OFFLINE)]
    assert await outcome(rig) == Bury("invoice_not_found")
    assert await outcome(rig) == ladder(UNAVAILABLE)


async def test_what_others_can_do_without_holds_nobody() -> None:
    for answer in (httpx.Response(500), refused("AuthorizationUnsuccessful"), forbidden()):
        rig = Rig(answer)
        rig.broker.forbidden = [None]
        with pytest.raises(RetryableError):
            await rig.xero.online_address(TENANT, guid(1))
        assert rig.permits.held == []


async def test_a_scope_that_was_given_meanwhile_is_noticed_by_the_next_token() -> None:
    rig = Rig(refused("AuthorizationUnsuccessful"))
    rig.permits.longest_hold = LONGEST_SECONDS
    for _ in range(2):
        assert await outcome(rig) == waits(300, "scope_missing")
    assert rig.broker.asked == [None, None]


async def test_a_bomb_is_given_up_before_it_is_unpacked() -> None:
    bomb = gzip.compress(b" " * (20 * MOST_BYTES), 9)
    assert len(bomb) < 400_000
    rig = Rig(httpx.Response(200, content=bomb, headers={**JSON, "Content-Encoding": "gzip"}))
    tracemalloc.start()
    try:
        assert await outcome(rig) == ladder("xero_answer_too_large")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * MOST_BYTES


async def test_a_call_that_found_no_connection_gives_its_permit_back_and_says_nothing_of_xero() -> None:
    rig = Rig(httpx.PoolTimeout("no connection"))
    assert await outcome(rig) == waits(5, "connections_taken")
    assert (rig.permits.held, rig.permits.lapsing, rig.permits.inside) == ([], 0, 0)
