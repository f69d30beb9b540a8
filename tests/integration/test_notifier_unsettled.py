"""A message without an end: a first alert may leave once more by proof, a reminder waits for its next stage."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from notifier.answers import close, resend, why
from notifier.ports import Accepted, Rejected, Unknown
from notifier.tables import attempts
from notifier.unsettled import PATIENCE
from notifier.whatsapp_errors import handling
from shared.contracts.invoices import CauseKind
from shared.policy import Policy
from support.builders import NOON, TENANT
from support.notifier import ALWAYS, World, status_update, world

pytestmark = pytest.mark.integration

RESENDING = ALWAYS.model_copy(update={"defaults": ALWAYS.defaults.model_copy(update={"resend_unsettled_alerts": True})})
LOST = Unknown("no_answer_ReadTimeout")


async def issue(notifier: World, number: int, *, cause: CauseKind = CauseKind.WEBHOOK, **invoice: Any) -> None:
    create = {"kind": cause, "event_type": "CREATE", "event_at": notifier.clock.now}
    today = {"issued_on": NOON.date(), "due_on": NOON.date() + timedelta(days=30)}
    await notifier.take_in(
        invoice={"invoice_id": f"i{number}", "number": f"INV-{number}", **today, **invoice},
        contact={"contact_id": f"c{number}", "phone": f"+91987654{number:04}"},
        cause=create if cause is CauseKind.WEBHOOK else {"kind": cause},
    )


async def send(notifier: World, number: int, *answers: Unknown | Accepted) -> str:
    """The reference under which the first alert of a new invoice was posted."""
    notifier.provider.answers.extend(answers)
    await issue(notifier, number)
    await notifier.sender.run_once()
    return notifier.provider.posts[-1][1]


async def hear(notifier: World, reference: str, status: str = "sent") -> None:
    await notifier.learn(status_update(status, reference, f"wamid.{reference}"))


async def unanswered_with_proof(notifier: World) -> str:
    """Invoice 1's alert is unknown; half an hour later invoice 2's was sent and heard of. The first's reference."""
    first = await send(notifier, 1, LOST)
    notifier.clock.forward(seconds=PATIENCE.total_seconds() + 1)
    await hear(notifier, await send(notifier, 2))
    return first


async def state(notifier: World, number: int = 1) -> str:
    (found,) = [str(row.state) for row in await notifier.rows() if row.invoice_id == f"i{number}"]
    return found


async def copies_sent(notifier: World, number: int = 1) -> int:
    return sum(message.to.endswith(f"{number:04}") for message, _ in notifier.provider.posts)


def gauge(notifier: World, name: str) -> float:
    return float(getattr(notifier.figures, name)._value.get())


async def test_by_proof_it_leaves_once_more_after_another_look_and_never_again(database_url: str) -> None:
    async with world(database_url, RESENDING) as notifier:
        first = await unanswered_with_proof(notifier)
        assert sum(await asyncio.gather(*(notifier.unsettled.look() for _ in range(4)))) == 1
        assert await state(notifier) == "planned"
        (answer,) = await why(notifier.engine, TENANT, "INV-1")
        assert (answer.rule, answer.resent_at) == ("resent_unsettled", notifier.clock.now)
        await notifier.sender.run_once()
        assert await copies_sent(notifier) == 1, "its snapshot is half an hour old"
        await issue(notifier, 1, cause=CauseKind.LOOK)
        notifier.provider.answers.append(LOST)
        await notifier.sender.run_once()
        assert (await copies_sent(notifier), await state(notifier)) == (2, "unknown")
        # Unknown again, and again there is proof: it was sent once more already.
        notifier.clock.forward(seconds=PATIENCE.total_seconds() + 1)
        await hear(notifier, await send(notifier, 3))
        assert await notifier.unsettled.look() == 0
        assert await copies_sent(notifier) == 2
        assert first != notifier.provider.posts[2][1]


async def test_the_late_status_of_the_first_settles_it_and_two_that_arrived_are_counted(database_url: str) -> None:
    async with world(database_url, RESENDING) as notifier:
        first = await unanswered_with_proof(notifier)
        await notifier.unsettled.look()
        await issue(notifier, 1, cause=CauseKind.LOOK)
        await notifier.sender.run_once()
        await notifier.unsettled.look()
        assert (await state(notifier), gauge(notifier, "doubled")) == ("accepted", 0)
        await hear(notifier, first, "delivered")
        await notifier.unsettled.look()
        assert (await state(notifier), gauge(notifier, "doubled"), gauge(notifier, "resent")) == ("delivered", 1, 1)
        assert [answer.copies for answer in await why(notifier.engine, TENANT)] == [2, 1]


async def test_a_status_that_comes_before_it_leaves_again_keeps_it_from_leaving(database_url: str) -> None:
    async with world(database_url, RESENDING) as notifier:
        first = await unanswered_with_proof(notifier)
        await notifier.unsettled.look()
        await hear(notifier, first)
        await issue(notifier, 1, cause=CauseKind.LOOK)
        await notifier.sender.run_once()
        assert (await copies_sent(notifier), await state(notifier)) == (1, "sent")


async def test_what_was_paid_meanwhile_does_not_leave_again(database_url: str) -> None:
    async with world(database_url, RESENDING) as notifier:
        await unanswered_with_proof(notifier)
        await notifier.unsettled.look()
        await issue(notifier, 1, cause=CauseKind.LOOK, status="PAID", amount_due=0, amount_paid=12500)
        await notifier.sender.run_once()
        assert (await copies_sent(notifier), await state(notifier)) == (1, "cancelled")


@pytest.mark.parametrize("policy", [ALWAYS, RESENDING], ids=["as shipped", "allowed"])
async def test_without_the_switch_or_without_proof_it_stays_listed(database_url: str, policy: Policy) -> None:
    async with world(database_url, policy) as notifier:
        await send(notifier, 1, LOST)
        silent = await send(notifier, 2)
        notifier.clock.forward(seconds=PATIENCE.total_seconds() + 1)
        proof = await send(notifier, 3)
        assert await notifier.unsettled.look() == 0, "nothing was heard of"
        await hear(notifier, proof)
        assert await notifier.unsettled.look() == 0, "a neighbour was taken and not heard of"
        await hear(notifier, silent)
        assert await notifier.unsettled.look() == (policy is RESENDING)
        assert gauge(notifier, "unknown") == 1
        assert gauge(notifier, "unknown_age") == PATIENCE.total_seconds() + 1


async def test_that_it_is_to_leave_again_is_told(database_url: str) -> None:
    async with world(database_url, RESENDING) as notifier:
        await unanswered_with_proof(notifier)
        before = await notifier.told()
        assert await notifier.unsettled.look() == 1
        assert (await notifier.told())[len(before) :] == ["planned"]


async def test_what_a_person_sent_again_is_not_sent_a_third_time(database_url: str) -> None:
    async with world(database_url, RESENDING) as notifier:
        await send(notifier, 1, LOST)
        await resend(notifier.engine, TENANT, notifier.clock.now)
        notifier.clock.forward(seconds=9)
        notifier.provider.answers.append(LOST)
        await notifier.sender.run_once()
        assert await state(notifier) == "unknown"
        notifier.clock.forward(seconds=PATIENCE.total_seconds() + 1)
        await hear(notifier, await send(notifier, 2))
        assert await notifier.unsettled.look() == 0
        assert await copies_sent(notifier) == 2


@pytest.mark.parametrize("given_up", [False, True])
async def test_a_reminder_waits_for_its_next_stage_and_none_follows_on_the_same_day(
    database_url: str, given_up: bool
) -> None:
    async with world(database_url, RESENDING) as notifier:
        notifier.provider.answers.append(LOST)
        await notifier.take_in(invoice={"due_on": "2026-06-20"})
        await notifier.sender.run_once()
        if given_up:
            await close(notifier.engine, TENANT, notifier.clock.now)
        # The due date moves: another stage is due on this very day.
        notifier.clock.forward(minutes=10)
        await notifier.take_in(invoice={"due_on": "2026-06-16"})
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
        for days in (1, 4):
            notifier.clock.forward(days=days)
            await notifier.take_in(invoice={"due_on": "2026-06-20"})
            await notifier.sender.run_once()
            assert await notifier.unsettled.look() == 0
        assert [message.template for message, _ in notifier.provider.posts] == ["invoice_overdue"] * 2
        assert {row.stage: row.state for row in await notifier.rows()} == {
            3: "failed" if given_up else "unknown",
            7: "accepted",
        }


async def test_an_answer_that_comes_after_another_attempt_undoes_nothing(database_url: str) -> None:
    """A sender that stood still for minutes; meanwhile a person had the message sent again."""
    async with world(database_url, ALWAYS) as notifier:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def stand_still() -> None:
            notifier.provider.meanwhile = None
            began.set()
            await go_on.wait()

        notifier.provider.meanwhile = stand_still
        notifier.provider.answers.extend([Accepted("wamid.2"), Rejected("whatsapp_131000", handling(131000), 131000)])
        await issue(notifier, 1)
        slow = asyncio.create_task(notifier.sender.run_once())
        await began.wait()
        survivor = notifier.another_sender()
        notifier.clock.forward(seconds=61)
        await survivor.run_once()
        assert await state(notifier) == "unknown"
        await resend(notifier.engine, TENANT, notifier.clock.now)
        posted, answered = asyncio.Event(), asyncio.Event()

        async def being_posted() -> None:
            notifier.provider.meanwhile = None
            posted.set()
            await answered.wait()

        notifier.provider.meanwhile = being_posted
        again = asyncio.create_task(survivor.run_once())
        await posted.wait()
        # The first to return takes the first answer that is prepared.
        notifier.provider.answers.rotate(1)
        go_on.set()
        await slow
        assert await state(notifier) == "sending"
        answered.set()
        await again
        notifier.clock.forward(seconds=30)
        await survivor.run_once()
        assert (await copies_sent(notifier), await state(notifier)) == (2, "accepted")


async def test_a_clock_that_steps_back_does_not_make_an_old_attempt_the_newest(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        first = await send(notifier, 1, LOST)
        await resend(notifier.engine, TENANT, notifier.clock.now)
        notifier.clock.forward(hours=-1)
        async with notifier.engine.begin() as db:
            from notifier.tables import intents, numbers, recipients

            await db.execute(intents.update().values(due_at=notifier.clock.now))
            await db.execute(recipients.delete())
            await db.execute(numbers.delete())
        await issue(notifier, 1, cause=CauseKind.LOOK)
        await notifier.sender.run_once()
        assert (await copies_sent(notifier), await state(notifier)) == (2, "accepted")
        unpaid = {"errors": [{"code": 131042}]}
        await notifier.learn(status_update("failed", first, f"wamid.{first}", raw=unpaid))
        assert await state(notifier) == "accepted"
        begun = sorted(await notifier.rows(attempts), key=lambda row: row.started_at)
        assert begun[0].reference == first
