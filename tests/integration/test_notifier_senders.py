"""Several senders in one installation: whose messages each sends, and that none is stopped by another's trouble."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from notifier.adapters.doubts import SqlDoubts
from notifier.adapters.ledger import SqlLedger
from notifier.answers import resend
from notifier.catalogue import load_catalogue
from notifier.halts import CLAIM_SPACING
from notifier.last_look import LookLast
from notifier.look_up import LOOK_EVERY, Doubts, LookUp
from notifier.orders import standing
from notifier.ports import Accepted, Outcome, Pace, Rejected, TemplateMessage, Unknown
from notifier.provider_errors import META, TWILIO, handling, reason_of
from notifier.providers import Capabilities, Sought
from notifier.sender import Sender
from notifier.senders import share_of
from notifier.tables import attempts, breakers, opt_outs
from notifier.telemetry import Figures, SenderLog
from shared.policy import Policy
from support.notifier import ALWAYS, CATALOGUE, FakeProvider, World, inbound, status_update, world

pytestmark = pytest.mark.integration

NAMES = frozenset({"default", "meera"})
NUMBER = "+14155238886"
FAST = 1_000_000
SID = "SM" + "0" * 32
POLICY = ALWAYS.model_copy(update={"tenants": {"t2": ALWAYS.defaults.model_copy(update={"sender": "meera"})}})
"""Organisation t2 sends with Twilio's number, all others with the default one."""


class Line:
    """One sender of the installation: its ledger, its loops and the provider behind it."""

    def __init__(self, notifier: World, name: str, policy: Policy = POLICY, **pace: object) -> None:
        default = name == "default"
        number, provider = ("4711", META) if default else (NUMBER, TWILIO)
        options = {"per_second": FAST, **pace}
        self.pace = Pace(number, sender=name, provider=provider, **options)  # type: ignore[arg-type]  # by name
        self.ledger = SqlLedger(notifier.engine, self.pace, share_of(name, policy, NAMES))
        self.provider = FakeProvider()
        self._notifier, self._policy = notifier, policy
        self.sender = self.replica()

    def replica(self) -> Sender:
        notifier = self._notifier
        look_last = LookLast(
            self.ledger,
            self._policy,
            load_catalogue(CATALOGUE),
            clock=notifier.clock,
            new_reference=lambda: f"v1.{self.pace.sender}.{len(self.provider.posts)}.{id(object())}",
        )
        log = SenderLog(Figures(CollectorRegistry()))
        return Sender(
            self.ledger,
            look_last,
            self.provider,
            notifier.events,
            clock=notifier.clock,
            log=log,
            told=lambda: None,
        )

    def refuse(self, code: int) -> None:
        provider = self.pace.provider
        self.provider.answers.append(Rejected(reason_of(code, provider), handling(code, provider), code))

    @property
    def tos(self) -> list[str]:
        return [message.to[-2:] for message, _ in self.provider.posts]


async def plan(notifier: World, tenant: str, *numbers: int, look: bool = False) -> None:
    for number in numbers:
        take_in = notifier.look_answered if look else notifier.take_in
        await take_in(
            tenant_id=tenant,
            invoice={"invoice_id": f"i{number}", "number": f"INV-{number}", "due_on": "2026-06-16"},
            contact={"contact_id": f"c{number}", "phone": f"+9198765400{number:02}"},
        )


async def run(*lines: Line) -> None:
    await asyncio.gather(*(line.sender.run_once() for line in lines))


async def test_each_organisation_s_messages_leave_once_by_its_own_sender(database_url: str) -> None:
    async with world(database_url, POLICY) as notifier:
        lines = [Line(notifier, name) for name in sorted(NAMES)]
        await plan(notifier, "t1", *range(10, 16))
        await plan(notifier, "t2", *range(20, 26))
        replicas = [line.replica() for line in lines for _ in range(2)]
        await asyncio.gather(*(replica.run_once() for replica in replicas), run(*lines))
        default, meera = lines
        assert sorted(default.tos) == [str(number) for number in range(10, 16)]
        assert sorted(meera.tos) == [str(number) for number in range(20, 26)]
        recorded = {(row.tenant_id, row.sender, row.provider, row.number) for row in await notifier.rows(attempts)}
        assert recorded == {("t1", "default", "meta", "4711"), ("t2", "meera", "twilio", NUMBER)}


@pytest.mark.parametrize(
    ("broken", "code"), [("default", 190), ("default", 132015), ("meera", 63007), ("meera", 63016)]
)
async def test_what_stops_one_sender_stops_the_other_s_messages_not_at_all(
    database_url: str, broken: str, code: int
) -> None:
    """Account, number and template: also a template of the same name."""
    other, theirs, others = ("meera", "t1", "t2") if broken == "default" else ("default", "t2", "t1")
    async with world(database_url, POLICY) as notifier:
        first, second = Line(notifier, broken), Line(notifier, other)
        await plan(notifier, theirs, 10)
        first.refuse(code)
        await run(first)
        assert len(await notifier.rows(breakers)) == 1
        await plan(notifier, theirs, 11, 12)
        await plan(notifier, others, 20, 21)
        await run(first, second)
        assert (first.tos, sorted(second.tos)) == (["10"], ["20", "21"])
        assert [bool(item.remedy) for item in (await standing(notifier.engine)).halts.breakers] == [True]
        notifier.clock.forward(hours=3, minutes=1)
        await plan(notifier, theirs, 10, 11, 12, look=True)
        for _ in range(3):
            await run(first)
            notifier.clock.forward(seconds=CLAIM_SPACING.total_seconds())
        assert set(first.tos) == {"10", "11", "12"}
        assert await notifier.rows(breakers) == []


async def test_a_slow_number_holds_up_no_other(tmp_path: Path) -> None:
    async with world(f"sqlite:///{tmp_path}/ledger.db", POLICY) as notifier:
        slow, fast = Line(notifier, "default", per_second=1), Line(notifier, "meera")
        await plan(notifier, "t1", *range(10, 18))
        await plan(notifier, "t2", *range(20, 28))
        await run(slow, fast)
        assert len(slow.tos) <= 2
        assert len(fast.tos) == 8


async def test_a_provider_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    async with world(f"sqlite:///{tmp_path}/ledger.db", POLICY) as notifier:
        hanging, other = Line(notifier, "default"), Line(notifier, "meera")
        await plan(notifier, "t1", *range(10, 40))
        await plan(notifier, "t2", *range(40, 44))
        answered = asyncio.Event()
        hanging.provider.meanwhile = answered.wait
        stuck = asyncio.create_task(hanging.sender.run_once())
        await run(other)
        assert len(other.tos) == 4
        assert not stuck.done()
        answered.set()
        await stuck
        assert len(hanging.tos) == 30


async def test_the_day_s_recipients_are_each_number_s_own(database_url: str) -> None:
    async with world(database_url, POLICY) as notifier:
        few, other = Line(notifier, "default", daily_recipients=2), Line(notifier, "meera", daily_recipients=3)
        await plan(notifier, "t1", *range(10, 15))
        await plan(notifier, "t2", *range(20, 25))
        for _ in range(2):
            await asyncio.gather(run(few, other), few.replica().run_once())
        assert (len(set(few.tos)), len(set(other.tos))) == (2, 3)


MOVED = ALWAYS.model_copy(update={"tenants": {}})
"""Organisation t2 has gone over to the default sender."""


async def test_a_message_in_doubt_never_changes_its_sender(database_url: str) -> None:
    async with world(database_url, POLICY) as notifier:
        meera = Line(notifier, "meera")
        await plan(notifier, "t2", 20)
        meera.provider.answers.append(Unknown("no_answer_ReadError"))
        await run(meera)
        assert await notifier.states() == ["unknown"]
        await plan(notifier, "t2", 21)
        assert len(await resend(notifier.engine, "t2", notifier.clock.now)) == 1
        notifier.clock.forward(seconds=CLAIM_SPACING.total_seconds())
        after = [Line(notifier, name, MOVED) for name in sorted(NAMES)]
        await run(*after)
        default, old = after
        assert (default.tos, old.tos) == (["21"], ["20"])
        assert {row.sender for row in await notifier.rows(attempts) if row.phone.endswith("20")} == {"meera"}


async def test_what_was_refused_for_certain_may_leave_by_the_new_sender(tmp_path: Path) -> None:
    async with world(f"sqlite:///{tmp_path}/ledger.db", POLICY) as notifier:
        meera = Line(notifier, "meera")
        await plan(notifier, "t2", 20)
        meera.refuse(20429)
        await run(meera)
        notifier.clock.forward(minutes=1)
        default, old = (Line(notifier, name, MOVED) for name in sorted(NAMES))
        await run(default, old)
        assert (default.tos, old.tos) == (["20"], [])


async def test_a_status_of_another_provider_settles_nothing(tmp_path: Path) -> None:
    async with world(f"sqlite:///{tmp_path}/ledger.db", POLICY) as notifier:
        meera = Line(notifier, "meera")
        await plan(notifier, "t2", 20)
        meera.provider.answers.append(Unknown("no_answer_ReadError"))
        await run(meera)
        reference = meera.provider.posts[0][1]
        await notifier.learn(status_update("delivered", reference, "wamid.x"))
        assert await notifier.states() == ["unknown"]
        await notifier.learn(status_update("queued", reference, SID, provider="twilio"))
        assert await notifier.states() == ["accepted"]
        await notifier.learn(status_update("read", None, SID))
        assert await notifier.states() == ["accepted"]
        await notifier.learn(status_update("read", None, SID, provider="twilio"))
        assert await notifier.states() == ["read"]


async def test_a_stop_to_one_number_holds_for_every_sender(tmp_path: Path) -> None:
    async with world(f"sqlite:///{tmp_path}/ledger.db", POLICY) as notifier:
        default, meera = (Line(notifier, name) for name in sorted(NAMES))
        await plan(notifier, "t2", 20)
        await run(meera)
        meera_sid = (await notifier.rows(attempts))[0].provider_message_id
        await plan(notifier, "t1", 20)
        said = inbound("Stop messages", person_phone=None, reply_to=meera_sid, provider="twilio")
        changes = await notifier.learn(said)
        assert [(change.tenant_id, change.reason) for change in changes] == [("t1", "opted_out")]
        notifier.clock.forward(minutes=1)
        await run(default, meera)
        assert (default.tos, meera.tos) == ([], ["20"])


async def test_who_said_stop_to_twilio_itself_is_written_to_by_no_sender(tmp_path: Path) -> None:
    async with world(f"sqlite:///{tmp_path}/ledger.db", POLICY) as notifier:
        default, meera = (Line(notifier, name) for name in sorted(NAMES))
        await plan(notifier, "t1", 20, 21)
        await plan(notifier, "t2", 20)
        meera.refuse(21610)
        await run(meera)
        notifier.clock.forward(minutes=1)
        await run(default)
        assert (default.tos, meera.tos) == (["21"], ["20"])
        assert [row.person for row in await notifier.rows(opt_outs)] == ["+919876540020"]
        assert sorted(await notifier.states()) == ["accepted", "cancelled", "failed"]


async def test_twilio_s_limit_comes_afterwards_and_the_message_waits(tmp_path: Path) -> None:
    """An older status that comes later neither sends it again nor lets the queue go."""
    async with world(f"sqlite:///{tmp_path}/ledger.db", POLICY) as notifier:
        meera = Line(notifier, "meera")
        meera.provider.answers.append(Accepted(SID))
        await plan(notifier, "t2", 20)
        await run(meera)
        reference = meera.provider.posts[0][1]
        failed = status_update("failed", reference, SID, provider="twilio", error_code=63018)
        await notifier.learn(failed)
        assert (await notifier.states(), notifier.stops) == (["planned"], ["twilio_63018"])
        await notifier.learn(status_update("queued", reference, SID, provider="twilio"))
        assert await notifier.states() == ["planned"]
        (stopped,) = await notifier.rows(breakers)
        assert (stopped.scope, stopped.name, stopped.reason) == ("number", NUMBER, "twilio_63018")
        notifier.clock.forward(seconds=61)
        meera.provider.answers.append(Accepted(SID.replace("0", "1")))
        await run(meera)
        again = meera.provider.posts[1][1]
        await notifier.learn(status_update("queued", again, SID.replace("0", "1"), provider="twilio"))
        assert len(await notifier.rows(breakers)) == 1
        await notifier.learn(status_update("sent", again, SID.replace("0", "1"), provider="twilio"))
        assert (await notifier.rows(breakers), await notifier.states()) == ([], ["sent"])


class Finder:
    capabilities = Capabilities(look_up=True)

    def __init__(self, *sids: str) -> None:
        self.sids = sids
        self.asked: list[Sought] = []

    async def send(self, message: TemplateMessage, attempt_ref: str) -> Outcome:
        raise AssertionError("nothing is sent here")

    async def look_up(self, sought: Sought) -> Sequence[str]:
        self.asked.append(sought)
        return self.sids


async def test_what_twilio_took_settles_the_unknown_and_nothing_else(database_url: str) -> None:
    async with world(database_url, POLICY) as notifier:
        meera, default = Line(notifier, "meera"), Line(notifier, "default")
        meera.provider.answers.extend([Unknown("no_answer_ReadError"), Accepted(SID)])
        default.provider.answers.append(Unknown("no_answer_ReadError"))
        await plan(notifier, "t2", 20)
        await run(meera)
        await plan(notifier, "t2", 21)
        await plan(notifier, "t1", 10)
        await run(meera, default)
        books: Doubts = SqlDoubts(notifier.engine, "meera")
        doubts = await books.in_doubt(notifier.clock.now - timedelta(days=1), notifier.clock.now)
        assert [(doubt.attempt.phone, doubt.says) for doubt in doubts] == [("+919876540020", "INV-20")]
        found = SID.replace("0", "5")
        finder = Finder(SID, found)
        log = SenderLog(Figures(CollectorRegistry()))
        notifier.clock.forward(seconds=LOOK_EVERY.total_seconds())
        looker = LookUp(books, meera.ledger, finder, clock=notifier.clock, log=log, told=lambda: None)
        for _ in range(2):
            await looker.run_once()
        assert len(finder.asked) == 1
        ends = {row.phone[-2:]: row.state for row in await notifier.rows()}
        assert ends == {"20": "accepted", "21": "accepted", "10": "unknown"}
        ids = {row.phone[-2:]: row.provider_message_id for row in await notifier.rows(attempts)}
        assert (ids["20"], ids["21"]) == (found, SID)
