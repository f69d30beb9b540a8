"""News in any order and any number, and what people mean by a short message."""

import itertools
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select

from notifier.learn import failure_code
from notifier.ports import Accepted, Unknown
from notifier.statuses import merged, state_of
from notifier.tables import opt_outs
from notifier.wishes import wish_of
from shared.contracts.messages import MessageChangedV1, MessageState
from support.builders import NOON
from support.notifier import ALWAYS, World, inbound, status_update, world
from support.sizes import rounds

S = MessageState


@pytest.mark.parametrize(
    ("news", "end"),
    [
        ([S.ACCEPTED, S.SENT, S.DELIVERED, S.READ], S.READ),
        ([S.SENT, S.READ], S.READ),
        ([S.ACCEPTED, S.SENT, S.FAILED], S.FAILED),
        ([S.SENT, S.FAILED, S.DELIVERED], S.DELIVERED),
        ([S.UNKNOWN, S.SENT, S.SENT], S.SENT),
        ([S.UNKNOWN, S.FAILED], S.FAILED),
    ],
)
def test_every_order_ends_the_same(news: list[S], end: S) -> None:
    for order in itertools.permutations(news):
        state = S.SENDING
        for item in order:
            state = merged(state, item)
        assert state is end


@pytest.mark.parametrize("waiting", [S.PLANNED, S.HELD, S.CANCELLED, S.SUPPRESSED])
def test_a_message_that_waits_believes_only_that_it_arrived(waiting: S) -> None:
    assert merged(waiting, S.DELIVERED) is S.DELIVERED
    assert merged(waiting, S.FAILED) is waiting


def test_the_words_of_the_provider() -> None:
    assert state_of("played") is S.READ
    assert state_of("deleted") is None
    assert state_of(None) is None
    assert failure_code({"errors": [{"code": 131042}]}) == 131042
    assert failure_code({"errors": []}) is None
    assert failure_code({}) is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "STOP",
            "stop",
            " Stop. ",
            "STOP!!",
            "please stop",
            "Stop please",
            "unsubscribe",
            "Opt-out",
            "stop_reminders",
        ),
        *("Stop reminders", "बंद करो", "बंद करें।", "रोकें", "band karo", "मत भेजो", "Arrêt", "stop sending me this"),
        *("stop_reminders", "BAJA", "நிறுத்து", "বন্ধ", "cancel"),
    ],
)
def test_no_more(text: str) -> None:
    assert wish_of(text) is True


@pytest.mark.parametrize("text", ["START", "start", "unstop", "शुरू करें", "Subscribe", "resume"])
def test_again(text: str) -> None:
    assert wish_of(text) is False


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            None,
            "thanks",
            "I have paid",
            "don't stop",
            "I will stop by tomorrow",
            "when does the offer stop or end?",
        ),
        *("please cancel the order and send a credit note", "ok", "👍", "paid yesterday, please check"),
    ],
)
def test_neither(text: str | None) -> None:
    assert wish_of(text) is None


def test_a_button_speaks_before_its_label() -> None:
    assert wish_of("STOP", "Start") is True
    assert wish_of("opaque-payload", "Stop reminders") is True


async def send_one(notifier: World) -> str:
    await notifier.take_in()
    await notifier.sender.run_once()
    return notifier.provider.posts[-1][1]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


async def test_the_same_news_often_and_shuffled_is_told_once_each(url: str) -> None:
    async with world(url) as notifier:
        reference = await send_one(notifier)
        told: list[MessageChangedV1] = []
        for status in ("delivered", "sent", "delivered", "read", "read", "failed", "delivered"):
            told += await notifier.learn(status_update(status, reference))
        assert [change.state.value for change in told] == ["delivered", "read"]


async def test_without_a_reference_the_providers_id_finds_the_message(url: str) -> None:
    async with world(url) as notifier:
        reference = await send_one(notifier)
        (change,) = await notifier.learn(
            status_update("failed", None, f"wamid.{reference}", raw={"errors": [{"code": 131026}]})
        )
        assert (change.state, change.reason) == (S.FAILED, "whatsapp_131026")


async def test_news_of_somebody_elses_message_is_harmless(url: str) -> None:
    async with world(url) as notifier:
        assert await notifier.learn(status_update("delivered", "v9.other", "wamid.other")) == []
        assert await notifier.learn(status_update("delivered", None, "wamid.other")) == []


async def test_stop_cancels_what_waits_and_keeps_out_what_comes(url: str) -> None:
    async with world(url) as notifier:
        await notifier.take_in()
        (change,) = await notifier.learn(inbound("STOP"))
        assert (change.state, change.reason) == (S.CANCELLED, "opted_out")
        assert await notifier.learn(inbound("STOP")) == []
        await notifier.take_in()
        await notifier.sender.run_once()
        assert notifier.provider.posts == []


async def test_stop_between_the_plan_and_the_post_is_honoured(url: str) -> None:
    async with world(url) as notifier:
        await notifier.take_in(contact={"phone": "+919999999999"})
        await notifier.learn(inbound("STOP"))
        await notifier.look_answered()  # the contact's number has changed to the one that said stop
        await notifier.sender.run_once()
        assert notifier.provider.posts == []
        assert (await notifier.intent()).reason == "opted_out"


async def test_start_undoes_stop_and_the_newest_wish_counts_in_any_order(url: str) -> None:
    stop, start = inbound("STOP"), inbound("START", happened_at=NOON + timedelta(seconds=1))
    for order in ([stop, start], [start, stop], [start, stop, stop, start]):
        async with world(url) as notifier:
            for update in order:
                await notifier.learn(update)
            async with notifier.engine.begin() as db:
                assert [row.opted_out for row in await db.execute(select(opt_outs))] == [False]


async def test_a_stop_without_a_number_is_matched_by_user_id_or_by_what_it_answers(url: str) -> None:
    async with world(url) as notifier:
        reference = await send_one(notifier)
        await notifier.learn(status_update("delivered", reference, f"wamid.{reference}", person_user_id="IN.1"))
        notifier.clock.forward(seconds=10)
        await notifier.take_in(invoice={"invoice_id": "another"})
        (change,) = await notifier.learn(inbound("STOP", person_phone=None, person_user_id="IN.1"))
        assert change.invoice_id == "another"
        await notifier.take_in(invoice={"invoice_id": "third"})
        answer = inbound("stop", person_phone=None, reply_to=f"wamid.{reference}")
        assert await notifier.learn(answer) == []
        assert "third" not in [row.invoice_id for row in await notifier.rows()]


async def test_a_user_id_that_stopped_before_its_number_was_known(url: str) -> None:
    async with world(url) as notifier:
        await notifier.learn(inbound("STOP", person_phone=None, person_user_id="IN.7"))
        reference = await send_one(notifier)
        await notifier.learn(status_update("sent", reference, person_user_id="IN.7"))
        notifier.clock.forward(seconds=10)
        await notifier.take_in(invoice={"invoice_id": "another"})
        assert len(await notifier.rows()) == 1


BRAZILIAN, ON_WHATSAPP = "+5511987654321", "+551187654321"


@pytest.mark.parametrize("told_by", ["answer", "status"])
@pytest.mark.parametrize("stop_comes", ["after", "before"])
async def test_a_stop_from_the_number_that_whatsapp_knows_the_person_by(
    url: str, told_by: str, stop_comes: str
) -> None:
    stop = inbound("STOP", person_phone=ON_WHATSAPP)
    async with world(url) as notifier:
        if stop_comes == "before":
            await notifier.learn(stop)
        known = ON_WHATSAPP if told_by == "answer" else None
        notifier.provider.answers.append(Accepted("wamid.1", whatsapp_phone=known))
        await notifier.take_in(contact={"phone": BRAZILIAN})
        await notifier.sender.run_once()
        if told_by == "status":
            reference = notifier.provider.posts[0][1]
            await notifier.learn(status_update("sent", reference, "wamid.1", person_phone=ON_WHATSAPP))
        notifier.clock.forward(seconds=10)
        if stop_comes == "after":
            await notifier.take_in(invoice={"invoice_id": "waiting"}, contact={"phone": BRAZILIAN})
            (change,) = await notifier.learn(stop)
            assert (change.invoice_id, change.state, change.reason) == ("waiting", S.CANCELLED, "opted_out")
        await notifier.take_in(invoice={"invoice_id": "later"}, contact={"phone": BRAZILIAN})
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
        await notifier.learn(inbound("START", person_phone=ON_WHATSAPP, happened_at=NOON + timedelta(minutes=1)))
        await notifier.take_in(invoice={"invoice_id": "again"}, contact={"phone": BRAZILIAN})
        await notifier.sender.run_once()
        assert [message.to for message, _ in notifier.provider.posts] == [BRAZILIAN, BRAZILIAN]


def end_of(statuses: set[str]) -> str:
    """What a message's statuses come to, in whatever order."""
    return next((status for status in ("read", "delivered", "failed", "sent") if status in statuses), "accepted")


async def test_statuses_in_any_order_repeated_and_before_the_answer_end_the_same(url: str) -> None:
    rng = Random(11)
    async with world(url, ALWAYS) as notifier:
        for number in range(rounds(400, 20)):
            statuses = rng.sample(["sent", "delivered", "read", "failed"], rng.randint(0, 4))
            news = statuses + rng.choices(statuses, k=rng.randint(0, 3)) if statuses else []
            rng.shuffle(news)
            before = rng.randint(0, len(news))
            wamid, by_reference = f"wamid.{number}", rng.random() < 0.5

            async def learn(news: list[str], wamid: str = wamid, by_reference: bool = by_reference) -> None:
                reference = notifier.provider.posts[-1][1] if by_reference else None
                for status in news:
                    await notifier.learn(status_update(status, reference, wamid))

            notifier.provider.meanwhile = partial(learn, news[:before])
            accepted = rng.random() < 2 / 3
            notifier.provider.answers.append(Accepted(wamid) if accepted else Unknown("no_answer"))
            contact = {"contact_id": f"c{number}", "phone": f"+9198765{number:05d}"}
            await notifier.take_in(invoice={"invoice_id": f"i{number}"}, contact=contact)
            await notifier.sender.run_once()
            await learn(news[before:])
            state = next(row.state for row in await notifier.rows() if row.invoice_id == f"i{number}")
            if accepted or (by_reference and news):
                assert state == end_of(set(news)), (news, before, by_reference)
            else:
                assert state == "unknown"
