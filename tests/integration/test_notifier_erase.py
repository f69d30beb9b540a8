"""An erased person is nowhere in the ledger, comes back by no event, and is never written to again."""

import asyncio
import base64
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from notifier.adapters.erased import check_key, is_to_be_kept_out
from notifier.adapters.ledger import SqlLedger
from notifier.adapters.lessons import SqlLessons
from notifier.erase import report
from notifier.erasing import ErasePerson, Erasure
from notifier.learn import Learn
from notifier.learning_tables import confirmations
from notifier.model import Snapshot
from notifier.persons import EVERYWHERE, Persons
from notifier.ports import Accepted, Outcome, Rejected, Unknown
from notifier.tables import decisions, erased, intents, metadata
from notifier.whatsapp_errors import NOT_REACHED
from shared.errors import ConfigurationError
from support.builders import CONTACT, TENANT, make_enriched
from support.notifier import ALWAYS, UNHURRIED, World, inbound, status_update, world
from support.waiting import eventually

pytestmark = pytest.mark.integration
KEY = Persons(SecretStr("a key of thirty-two characters!!"))
NUMBER = "+919876543210"
DIGITS = "9876543210"
NAME = "Asha Traders"


def knows_the_erased(notifier: World) -> World:
    notifier.ledger = SqlLedger(notifier.engine, UNHURRIED, persons=KEY)
    notifier.sender = notifier.another_sender()
    lessons = SqlLessons(notifier.engine, persons=KEY)
    notifier.learn = Learn(lessons, clock=notifier.clock, stopped=notifier.stops.append, heard=lambda _: None)
    return notifier


async def dump(notifier: World) -> str:
    """Every row of every table."""
    async with notifier.engine.connect() as db:
        rows = [row for table in metadata.sorted_tables for row in await db.execute(sa.select(table))]
    return "\n".join(str(tuple(row)) for row in rows)


def _leave_remains(connection: Any, _: object) -> None:
    connection.execute("PRAGMA secure_delete=OFF")


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def erase(notifier: World, contact: str = CONTACT, tenant: str | None = None) -> Erasure:
    return await ErasePerson(notifier.engine, KEY)(contact, tenant, notifier.clock.now, really=True)


async def a_life(notifier: World) -> None:
    """Messages sent, waiting and unknown, statuses early and late, a wish, another person."""
    wamid = f"wamid.{base64.b64encode(b'..919876543210..').decode()}"
    notifier.provider.answers.extend([Accepted(wamid, whatsapp_phone="+91987654321"), Unknown("timeout")])
    await notifier.take_in()
    await notifier.sender.run_once()
    (_, reference), *_ = notifier.provider.posts
    details = {"person_user_id": "user-1", "person_phone": NUMBER}
    await notifier.learn(status_update("sent", reference, wamid, **details))
    await notifier.take_in(invoice={"invoice_id": "i2", "number": "INV-2", "due_on": date(2026, 6, 20)})
    notifier.clock.forward(seconds=20)
    await notifier.sender.run_once()
    await notifier.learn(status_update("sent", "v1.nobody", f"wamid.{base64.b64encode(b'x919876543210').decode()}"))
    await notifier.learn(inbound("START"))
    await notifier.take_in(invoice={"invoice_id": "i3", "number": "INV-3", "due_on": date(2026, 6, 16)})
    other = {"contact_id": "other", "name": "Ben", "phone": "+919811111111"}
    await notifier.take_in(invoice={"invoice_id": "i4", "number": "INV-4"}, contact=other)


@pytest.mark.parametrize("named", [CONTACT, NUMBER])
async def test_nothing_of_the_person_is_left_and_everything_stays_countable(database_url: str, named: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await a_life(knows_the_erased(notifier))
        before = await notifier.states()
        assert DIGITS in await dump(notifier)
        told = await ErasePerson(notifier.engine, KEY)(named, None, notifier.clock.now, really=False)
        assert told.found["messages"] == 3
        assert DIGITS in await dump(notifier)
        done = await erase(notifier, named)
        left = await dump(notifier)
        for trace in (DIGITS, NAME, CONTACT, "user-1", base64.b64encode(b"919876543210").decode()[4:-4]):
            assert trace not in left
        assert "Ben" in left
        assert done.found == told.found
        assert DIGITS not in report(done, really=True)
        rows = await notifier.rows(intents)
        assert len(rows) == len(before) == 4
        assert {row.invoice_id: (row.state, row.reason) for row in rows}["i3"] == ("cancelled", "erased")
        assert len(await notifier.rows(decisions)) == 4
        again = await erase(notifier, named)
        assert again.found.total() == 0


async def test_what_comes_later_brings_nothing_back_and_nothing_leaves(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await a_life(knows_the_erased(notifier))
        (_, first), (_, second) = notifier.provider.posts
        await erase(notifier)
        posts = len(notifier.provider.posts)
        for cause in ({"kind": "scan"}, {"kind": "webhook", "event_type": "CREATE"}, {"kind": "look"}):
            for number, due_on in (("i1", date(2026, 6, 16)), ("i5", date(2026, 6, 20)), ("i6", date(2026, 6, 23))):
                notifier.clock.forward(minutes=1)
                await notifier.take_in(invoice={"invoice_id": number, "due_on": due_on}, cause=cause)
        changed: dict[str, Any] = {"contact_id": "a-new-id"}
        await notifier.take_in(invoice={"invoice_id": "i7"}, contact=changed)
        await notifier.take_in(invoice={"invoice_id": "i8"}, contact={"phone": "+919800000000"})
        people = {"person_user_id": "user-1", "person_phone": NUMBER}
        for word, reference in (("delivered", first), ("read", second), ("read", None)):
            await notifier.learn(status_update(word, reference, f"wamid.{DIGITS}", **people))
        await notifier.learn(inbound("STOP", person_user_id="user-1"))
        notifier.clock.forward(seconds=20)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == posts + 1  # the other person's
        left = await dump(notifier)
        for trace in (DIGITS, NAME, CONTACT, "user-1", "9800000000"):
            assert trace not in left
        rules = {row.rule for row in await notifier.rows(decisions) if row.invoice_id in {"i5", "i6", "i7", "i8"}}
        assert rules == {"erased"}
        assert {row.state for row in await notifier.rows() if row.invoice_id == "i2"} == {"read"}


async def test_an_answer_that_comes_after_the_erasure_is_kept_without_the_person(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        knows_the_erased(notifier)
        notifier.provider.answers.append(Accepted(f"wamid.{DIGITS}", whatsapp_phone=NUMBER))

        async def meanwhile() -> None:
            await erase(notifier)

        notifier.provider.meanwhile = meanwhile
        await notifier.take_in()
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"]
        assert DIGITS not in await dump(notifier)


async def a_stop(notifier: World, answer: Outcome) -> None:
    """It waits to be confirmed, which is answered so."""
    knows_the_erased(notifier)
    await notifier.take_in()
    await notifier.sender.run_once()
    notifier.clock.forward(seconds=20)
    await notifier.learn(inbound("STOP"))
    notifier.provider.answers.append(answer)


@pytest.mark.parametrize("word", ["read", "failed"])
async def test_a_status_of_the_answer_to_a_stop_brings_nothing_back(database_url: str, word: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await a_stop(notifier, Accepted(f"wamid.{DIGITS}"))
        await notifier.another_confirmer().run_once()
        ((_, reference),) = notifier.provider.texts
        await erase(notifier)
        failed = {"error_code": 131026, "error_details": f"to {NUMBER}"} if word == "failed" else {}
        await notifier.learn(status_update(word, reference, f"wamid.{DIGITS}", person_phone=NUMBER, **failed))
        assert [row.state for row in await notifier.rows(confirmations)] == [word]
        assert DIGITS not in await dump(notifier)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Accepted(f"wamid.{DIGITS}"), "accepted"),
        (Rejected("not_reached", NOT_REACHED, details=f"to {NUMBER}"), "failed"),
    ],
)
async def test_one_in_flight_brings_nothing_back_either(database_url: str, answer: Outcome, state: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await a_stop(notifier, answer)

        async def meanwhile() -> None:
            await erase(notifier)

        notifier.provider.meanwhile = meanwhile
        await notifier.another_confirmer().run_once()
        assert [row.state for row in await notifier.rows(confirmations)] == [state]
        assert DIGITS not in await dump(notifier)


async def is_erasing_held_up(notifier: World) -> bool:
    async with notifier.engine.connect() as db:
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND mode = 'ExclusiveLock'"
        return bool(await db.scalar(sa.text(waiting)))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_whoever_keeps_a_word_of_the_person_ends_before_it_is_remembered(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        knows_the_erased(notifier)
        await notifier.take_in()
        names = KEY.names(EVERYWHERE, NUMBER)
        async with notifier.engine.begin() as db:
            assert not await is_to_be_kept_out(db, names)
            erasing = asyncio.create_task(erase(notifier, NUMBER))
            await eventually(lambda: is_erasing_held_up(notifier))
            assert not await notifier.rows(erased)
        await erasing
        assert await notifier.rows(erased)


async def test_in_one_organisation_alone(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        knows_the_erased(notifier)
        await notifier.take_in()
        await notifier.take_in(tenant_id="t2", invoice={"invoice_id": "i2"})
        await erase(notifier, NUMBER, TENANT)
        await notifier.take_in(invoice={"invoice_id": "i3"})
        await notifier.sender.run_once()
        assert {row.tenant_id: row.state for row in await notifier.rows()} == {TENANT: "cancelled", "t2": "accepted"}


async def test_a_person_that_wishes_it_is_known_again(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        knows_the_erased(notifier)
        await notifier.take_in()
        await erase(notifier, NUMBER)
        assert await ErasePerson(notifier.engine, KEY).readmit(CONTACT, None) == 2
        await notifier.take_in(invoice={"invoice_id": "i2"})
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1


async def test_another_key_is_refused(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        knows_the_erased(notifier)
        await check_key(notifier.engine, None)
        await erase(notifier)
        await check_key(notifier.engine, KEY)
        for other in (None, Persons(SecretStr("another key of many characters..."))):
            with pytest.raises(ConfigurationError, match="DUEBELL_ERASURE_KEY"):
                await check_key(notifier.engine, other)


async def test_no_byte_of_sqlites_files_tells_of_the_person(tmp_path: Path) -> None:
    async with world(f"sqlite:///{tmp_path}/ledger.db", ALWAYS) as notifier:
        # Some builds of SQLite overwrite what they delete by themselves.
        sa.event.listen(notifier.engine.sync_engine, "connect", _leave_remains)
        await notifier.engine.dispose()
        await a_life(knows_the_erased(notifier))
        for number in range(40):  # enough to leave whole pages behind
            await notifier.take_in(invoice={"invoice_id": f"more-{number}", "number": "N" * 300})
        assert DIGITS.encode() in bytes_of(tmp_path)
        done = await erase(notifier)
        assert done.rewritten
        left = bytes_of(tmp_path)
    for trace in (DIGITS, NAME, CONTACT):
        assert trace.encode() not in left


async def test_the_search_for_the_person_locks_nobody_out(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await a_life(knows_the_erased(notifier))
        searches: list[bool] = []

        def note(db: sa.Connection, _: object, statement: str, *__: object) -> None:
            if "JSON_EXTRACT(snapshots" in statement or "snapshots.body ->" in statement:
                searches.append(db.get_execution_options().get("duebell_reading", False))

        sa.event.listen(notifier.engine.sync_engine, "before_cursor_execute", note)
        await erase(notifier)
        assert searches
        assert all(searches)


async def test_what_is_stored_by_who_did_not_know_yet_is_found(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await a_life(knows_the_erased(notifier))
        known = make_enriched(invoice={"invoice_id": "i9"}, contact={"contact_id": "another-id", "phone": NUMBER})

        async def remembered() -> bool:
            # SQLite has one writer: there the erasure itself waits.
            return notifier.engine.dialect.name == "sqlite" or bool(await notifier.rows(erased))

        async with notifier.ledger.open(TENANT, notifier.clock.now) as book:
            erasing = asyncio.create_task(erase(notifier))
            await eventually(remembered, what="the hashes")
            await book.save_snapshot(Snapshot.of(known))
        done = await erasing
        assert "another-id" in done.person.contacts
        left = await dump(notifier)
        assert DIGITS not in left
        assert "another-id" not in left
