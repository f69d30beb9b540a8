"""Unknown messages settled with a provider that tells what it took: only by what is found, and only when it is sure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from notifier.adapters.twilio import Content, TwilioProvider
from notifier.look_up import AT_ONCE, LOOK_EVERY, InDoubt, LookUp, may_be_mistaken, window
from notifier.ports import Accepted, Attempt, Outcome, TemplateMessage
from notifier.providers import Capabilities, Sought
from notifier.telemetry import Figures, SenderLog
from shared.contracts.messages import MessageChangedV1
from support.builders import NOON
from support.notifier import Clock
from support.provider_cases import ACCOUNT_SID, OURS

PHONE = "+919876543210"
SIDS = ["SM" + digit * 32 for digit in "0123456789"]


def doubt(reference: str = "r1", *, says: str = "INV-1", after: float = 0, **changes: Any) -> InDoubt:
    phone = changes.pop("phone", PHONE)
    attempt = Attempt(reference, f"intent-{reference}", "t1", phone, "invoice_overdue")
    return InDoubt(attempt, NOON + timedelta(seconds=after), says, **changes)


class Books:
    """The ledger's part: what is in doubt, whose ids are known, what was settled."""

    def __init__(self, *doubts: InDoubt, known: Sequence[str] = ()) -> None:
        self.doubts = list(doubts)
        self.known = set(known)
        self.settled: list[tuple[str, Outcome]] = []

    async def in_doubt(self, since: datetime, now: datetime) -> Sequence[InDoubt]:
        return self.doubts

    async def unclaimed(self, ids: Sequence[str]) -> Sequence[str]:
        return [each for each in ids if each not in self.known]

    async def settle(self, attempt: Attempt, outcome: Outcome, now: datetime, **_: Any) -> Sequence[MessageChangedV1]:
        self.settled.append((attempt.reference, outcome))
        self.doubts = [each for each in self.doubts if each.attempt.reference != attempt.reference]
        return []


class Finder:
    capabilities = Capabilities(look_up=True)

    def __init__(self, *found: str) -> None:
        self.found = found
        self.asked: list[Sought] = []

    async def send(self, message: TemplateMessage, attempt_ref: str) -> Outcome:
        raise AssertionError("nothing is sent here")

    async def look_up(self, sought: Sought) -> Sequence[str]:
        self.asked.append(sought)
        return self.found


def looker(books: Books, finder: Finder, clock: Clock) -> LookUp:
    log = SenderLog(Figures(CollectorRegistry()))
    return LookUp(books, books, finder, clock=clock, log=log, told=lambda: None)  # type: ignore[arg-type]  # the part it uses


async def test_the_one_message_that_fits_settles_it() -> None:
    books, finder, clock = Books(doubt(), known=[SIDS[1]]), Finder(SIDS[0], SIDS[1]), Clock(NOON + LOOK_EVERY)
    await looker(books, finder, clock).run_once()
    assert books.settled == [("r1", Accepted(SIDS[0]))]
    assert finder.asked == [window(doubt())]


@pytest.mark.parametrize("found", [(), (SIDS[0], SIDS[1]), (SIDS[2],)])
async def test_nothing_or_too_much_or_another_s_settles_nothing(found: tuple[str, ...]) -> None:
    books, clock = Books(doubt(), known=[SIDS[2]]), Clock(NOON + LOOK_EVERY)
    await looker(books, Finder(*found), clock).run_once()
    assert books.settled == []


@pytest.mark.parametrize(
    ("other", "mistaken"),
    [
        (doubt("r2", after=8), True),
        (doubt("r2", after=8, says="INV-10"), True),
        (doubt("r2", after=8, unknown=False), True),
        (doubt("r2", after=8, says="INV-2"), False),
        (doubt("r2", after=8, phone="+919876543211"), False),
        (doubt("r2", after=41), False),
    ],
)
async def test_what_may_as_well_be_another_attempt_s_is_not_even_asked_for(other: InDoubt, mistaken: bool) -> None:
    assert may_be_mistaken(doubt(), other) is mistaken
    books, finder, clock = Books(doubt(), other), Finder(SIDS[0]), Clock(NOON + 2 * LOOK_EVERY)
    await looker(books, finder, clock).run_once()
    assert (("r1", Accepted(SIDS[0])) in books.settled) is not mistaken


async def test_it_asks_ever_more_rarely_and_of_few_at_once() -> None:
    clock = Clock(NOON + LOOK_EVERY)
    books, finder = Books(doubt()), Finder()
    look_up = looker(books, finder, clock)
    for _ in range(120):
        await look_up.run_once()
        clock.forward(seconds=30)
    assert 5 <= len(finder.asked) <= 8
    many = Books(*(doubt(f"r{n}", phone=f"+91987654{n:04}") for n in range(50)))
    finder = Finder()
    await looker(many, finder, clock).run_once()
    assert len(finder.asked) == AT_ONCE


def listed(**changes: Any) -> dict[str, Any]:
    return {
        "sid": SIDS[0],
        "to": f"whatsapp:{PHONE}",
        "direction": "outbound-api",
        "date_created": "Tue, 23 Jun 2026 12:00:02 +0000",
        "body": "invoice INV-1 for INR 1",
        **changes,
    }


@pytest.mark.parametrize(
    ("message", "fits"),
    [
        (listed(), True),
        (listed(body="invoice INV-2"), False),
        (listed(body=None), False),
        (listed(to="whatsapp:+919876543211"), False),
        (listed(direction="inbound"), False),
        (listed(date_created="Tue, 23 Jun 2026 11:59:00 +0000"), False),
        (listed(date_created="Tue, 23 Jun 2026 12:01:00 +0000"), False),
        (listed(date_created="yesterday"), False),
        (listed(sid="wamid.x"), False),
        ("nonsense", False),
    ],
)
async def test_what_twilio_lists_fits_by_number_time_and_text(message: object, fits: bool) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"messages": [message]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://twilio") as client:
        provider = TwilioProvider(
            client,
            account_sid=ACCOUNT_SID,
            number=OURS,
            contents={("a", "en"): Content("HX")},
            callback_url="https://x/webhooks/twilio",
            deadline_seconds=5,
        )
        assert list(await provider.look_up(window(doubt()))) == ([SIDS[0]] if fits else [])
    assert (seen[0].method, seen[0].url.params["To"]) == ("GET", f"whatsapp:{PHONE}")
