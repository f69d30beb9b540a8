"""One intent per candidate and one POST per intent, whoever races."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from notifier.answers import release
from notifier.halts import CLAIM_SPACING
from notifier.model import Decision, Snapshot, Verdict
from notifier.ports import Accepted, Attempt, Rejected, Unknown
from notifier.tables import attempts, decisions, early_statuses, intents
from notifier.whatsapp_errors import HANDLINGS, handling
from shared.contracts.connections import ConnectionEstablishedV1, ConnectionLostV1
from shared.contracts.invoices import CauseKind
from shared.contracts.messages import MessageKind, MessageState
from shared.contracts.scans import InvoiceLookRequestedV1
from support.builders import NOON, TENANT, make_enriched
from support.notifier import status_update, tenant_policy, world

pytestmark = pytest.mark.integration


async def test_the_same_event_twenty_times_at_once_is_one_message(database_url: str) -> None:
    async with world(database_url) as notifier:
        # Known beforehand: otherwise the twenty would queue behind the first sight of the organisation.
        await notifier.connection.established(
            ConnectionEstablishedV1(tenant_id=TENANT, tenant_name="Meera", connected_at=NOON)
        )
        event = make_enriched()
        await asyncio.gather(*(notifier.take_in(event) for _ in range(20)))
        await notifier.sender.run_once()
        await asyncio.gather(*(notifier.take_in(event) for _ in range(20)))
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"]
        assert len(notifier.provider.posts) == 1
        assert len(await notifier.rows(decisions)) == 1


async def test_the_database_itself_refuses_a_second_intent(database_url: str) -> None:
    """Without the constraint this inserts two rows: the lock is the fast path, the constraint is the guard."""
    async with world(database_url) as notifier:
        await notifier.take_in()
        row = dict((await notifier.intent())._mapping)
        with pytest.raises(sa.exc.IntegrityError):
            async with notifier.engine.begin() as db:
                await db.execute(sa.insert(intents).values(**{**row, "intent_id": "another"}))


async def test_planning_a_second_time_makes_nothing(database_url: str) -> None:
    async with world(database_url) as notifier:
        snapshot = Snapshot.of(make_enriched())
        decision = Decision(MessageKind.REMINDER, 7, Verdict.PLAN, "due", NOON)
        async with notifier.ledger.open(TENANT, NOON) as book:
            first = await book.plan(snapshot, decision, MessageState.PLANNED, NOON, None)
            second = await book.plan(snapshot, decision, MessageState.PLANNED, NOON, None)
        assert first is not None
        assert second is None


async def test_two_senders_post_each_message_once(database_url: str) -> None:
    async with world(database_url) as notifier:
        for number in range(12):
            await notifier.take_in(
                invoice={"invoice_id": f"i{number}"},
                contact={"contact_id": f"c{number}", "phone": f"+9198765432{number:02}"},
            )
        other = notifier.another_sender()
        await asyncio.gather(notifier.sender.run_once(), other.run_once())
        assert len(notifier.provider.posts) == 12
        assert len({message.to for message, _ in notifier.provider.posts}) == 12
        assert set(await notifier.states()) == {"accepted"}
        assert len(await notifier.rows(attempts)) == 12


async def test_only_one_of_many_claims_succeeds(database_url: str) -> None:
    """The compare-and-set alone: every claimant holds the same planned intent in hand."""
    async with world(database_url) as notifier:
        await notifier.take_in()
        due = (await notifier.ledger.due(NOON, 10))[0]
        async with notifier.ledger.open(TENANT, NOON) as book:
            intent = await book.intent(due.intent_id)
        assert intent is not None

        async def claim(number: int) -> bool:
            async with notifier.ledger.open(TENANT, NOON) as book:
                attempt = Attempt(f"v1.{number}", intent.intent_id, TENANT, "+919876543210", "invoice_overdue")
                return await book.claim(intent, attempt, NOON)

        assert sum(await asyncio.gather(*(claim(number) for number in range(8)))) == 1
        assert len(await notifier.rows(attempts)) == 1


async def test_the_claim_is_committed_before_the_socket_opens(database_url: str) -> None:
    async with world(database_url) as notifier:
        await notifier.take_in()
        seen: list[str] = []

        async def look() -> None:
            seen.extend([*await notifier.states(), *[row.reference for row in await notifier.rows(attempts)]])

        notifier.provider.meanwhile = look
        await notifier.sender.run_once()
        assert seen == ["sending", notifier.provider.posts[0][1]]


async def test_a_sender_that_died_with_a_claim_leaves_unknown_and_nobody_resends(database_url: str) -> None:
    async with world(database_url) as notifier:

        class Killed(BaseException):
            pass

        async def die() -> None:
            raise Killed

        await notifier.take_in()
        notifier.provider.meanwhile = die
        with pytest.raises(Killed):
            await notifier.sender.run_once()
        assert await notifier.states() == ["sending"]
        notifier.provider.meanwhile = None
        survivor = notifier.another_sender()
        notifier.clock.forward(seconds=30)
        await survivor.run_once()
        assert await notifier.states() == ["sending"]
        notifier.clock.forward(seconds=31)
        await survivor.run_once()
        await notifier.take_in()
        await survivor.run_once()
        assert await notifier.states() == ["unknown"]
        assert len(notifier.provider.posts) == 1
        reference = notifier.provider.posts[0][1]
        await notifier.learn(status_update("delivered", reference))
        assert await notifier.states() == ["delivered"]


async def test_a_lost_answer_is_unknown_and_settled_by_the_status(database_url: str) -> None:
    async with world(database_url) as notifier:
        await notifier.take_in()
        notifier.provider.answers.append(Unknown("no_answer_ReadTimeout"))
        await notifier.sender.run_once()
        notifier.clock.forward(hours=1)
        await notifier.take_in()
        await notifier.sender.run_once()
        assert await notifier.states() == ["unknown"]
        assert len(notifier.provider.posts) == 1
        await notifier.learn(status_update("sent", notifier.provider.posts[0][1]))
        assert await notifier.states() == ["sent"]


async def test_a_status_that_overtakes_the_answer_is_not_undone(database_url: str) -> None:
    async with world(database_url) as notifier:
        await notifier.take_in()

        async def delivered_already() -> None:
            await notifier.learn(status_update("delivered", notifier.provider.posts[0][1], "wamid.1"))

        notifier.provider.meanwhile = delivered_already
        await notifier.sender.run_once()
        assert await notifier.states() == ["delivered"]


async def test_a_status_without_reference_before_the_answer_is_remembered(database_url: str) -> None:
    async with world(database_url) as notifier:
        await notifier.take_in()

        async def failed_already() -> None:
            raw = {"errors": [{"code": 131026}]}
            await notifier.learn(status_update("failed", None, "wamid.1", raw=raw))

        notifier.provider.meanwhile = failed_already
        notifier.provider.answers.append(Accepted("wamid.1"))
        await notifier.sender.run_once()
        row = await notifier.intent()
        assert (row.state, row.reason) == ("failed", "whatsapp_131026")
        assert await notifier.rows(early_statuses) == []


async def test_paid_between_planning_and_sending_is_cancelled(database_url: str) -> None:
    async with world(database_url) as notifier:
        await notifier.take_in()
        notifier.clock.forward(minutes=11)
        await notifier.sender.run_once()
        (request,) = notifier.events.of(InvoiceLookRequestedV1)
        assert notifier.provider.posts == []
        changes = await notifier.look_answered(
            invoice={"status": "PAID", "amount_due": 0, "amount_paid": 12500, "invoice_id": request.invoice_ids[0]}
        )
        await notifier.sender.run_once()
        assert [(change.state.value, change.reason) for change in changes] == [("cancelled", "paid")]
        assert notifier.provider.posts == []


async def test_a_fresh_look_is_asked_for_once_a_minute_and_then_sends(database_url: str) -> None:
    async with world(database_url) as notifier:
        await notifier.take_in()
        notifier.clock.forward(minutes=11)
        await notifier.sender.run_once()
        notifier.clock.forward(seconds=59)
        await notifier.sender.run_once()
        assert len(notifier.events.of(InvoiceLookRequestedV1)) == 1
        notifier.clock.forward(seconds=2)
        await notifier.sender.run_once()
        assert len(notifier.events.of(InvoiceLookRequestedV1)) == 2
        await notifier.look_answered()
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"]


async def test_looks_are_batched_per_organisation(database_url: str) -> None:
    async with world(database_url) as notifier:
        for tenant in ("t1", "t2"):
            for number in range(60 if tenant == "t1" else 2):
                await notifier.take_in(
                    tenant_id=tenant,
                    invoice={"invoice_id": f"i{number}"},
                    contact={"contact_id": f"c{number}", "phone": f"+9198765432{number:02}"},
                )
        notifier.clock.forward(minutes=11)
        await notifier.sender.run_once()
        requests = notifier.events.of(InvoiceLookRequestedV1)
        assert sorted((request.tenant_id, len(request.invoice_ids)) for request in requests) == [
            ("t1", 10),
            ("t1", 50),
            ("t2", 2),
        ]


async def test_weekly_cap_holds_when_many_invoices_of_one_contact_race(database_url: str) -> None:
    async with world(database_url) as notifier:
        await asyncio.gather(*(notifier.take_in(invoice={"invoice_id": f"i{number}"}) for number in range(10)))
        rules = sorted(row.rule for row in await notifier.rows(decisions))
        assert rules == ["due"] * 3 + ["weekly_cap"] * 7
        for _ in range(4):
            await asyncio.gather(notifier.sender.run_once(), notifier.another_sender().run_once())
            notifier.clock.forward(seconds=9)
        assert len(notifier.provider.posts) == 3


async def test_the_cap_is_checked_again_at_the_claim(database_url: str) -> None:
    """Held messages were not counted when they were planned; releasing them all at once lets only three go."""
    async with world(database_url, tenant_policy(mode="approval")) as notifier:
        for number in range(6):
            await notifier.take_in(invoice={"invoice_id": f"i{number}"})
        assert await release(notifier.engine, TENANT, NOON) == 6
        for _ in range(8):
            await asyncio.gather(notifier.sender.run_once(), notifier.another_sender().run_once())
            notifier.clock.forward(seconds=9)
        assert len(notifier.provider.posts) == 3
        assert sorted(await notifier.states()) == ["accepted"] * 3 + ["cancelled"] * 3


async def test_one_recipient_gets_at_most_one_message_in_six_seconds(database_url: str) -> None:
    async with world(database_url) as notifier:
        for number in range(2):
            await notifier.take_in(invoice={"invoice_id": f"i{number}"})
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
        notifier.clock.forward(seconds=CLAIM_SPACING.total_seconds() - 0.1)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
        notifier.clock.forward(seconds=0.1)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 2


async def test_an_unusual_wave_is_held_and_released_by_a_person(database_url: str) -> None:
    policy = tenant_policy(brake={"per_tenant_per_hour": 3, "hold_back_book": False})
    async with world(database_url, policy) as notifier:
        for number in range(9):
            await notifier.take_in(
                invoice={"invoice_id": f"i{number}"},
                contact={"contact_id": f"c{number}", "phone": f"+9198765432{number:02}"},
            )
        await asyncio.gather(notifier.sender.run_once(), notifier.another_sender().run_once())
        assert notifier.provider.posts == []
        assert await notifier.states() == ["held"] * 9
        assert {row.reason for row in await notifier.rows()} == {"brake"}
        assert await notifier.told() == ["held"] * 9
        assert await release(notifier.engine, TENANT, NOON) == 9
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 9


async def test_an_account_fault_stops_the_sender_and_burns_nothing(database_url: str) -> None:
    async with world(database_url) as notifier:
        await notifier.take_in()
        for _ in range(3):
            notifier.provider.answers.append(Rejected("whatsapp_190", handling(190), 190))
            await notifier.look_answered()
            await notifier.sender.run_once()
            await notifier.sender.run_once()
            notifier.clock.forward(minutes=5, seconds=1)
        row = await notifier.intent()
        assert (row.state, row.tries) == ("planned", 0)
        assert len(notifier.provider.posts) == 3
        await notifier.look_answered()
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"]


async def test_a_rejection_worth_a_retry_is_tried_a_few_times_and_then_fails(database_url: str) -> None:
    async with world(database_url) as notifier:
        await notifier.take_in()
        allowed = HANDLINGS[131000].tries
        for _ in range(allowed + 2):
            notifier.provider.answers.append(Rejected("whatsapp_131000", handling(131000), 131000))
            await notifier.look_answered()
            await notifier.sender.run_once()
            notifier.clock.forward(minutes=5)
        assert len(notifier.provider.posts) == allowed
        assert (await notifier.intent()).state == "failed"
        assert [row.error_code for row in await notifier.rows(attempts)] == [131000] * allowed


async def test_a_lost_organisation_waits_and_goes_on_when_it_is_back(database_url: str) -> None:
    lost = ConnectionLostV1(
        tenant_id=TENANT, tenant_name="Meera", reason="revoked", reconnect_url="https://x", lost_at=NOON
    )
    async with world(database_url) as notifier:
        await notifier.take_in()
        await notifier.connection.lost(lost)
        await notifier.sender.run_once()
        assert notifier.provider.posts == []
        back = ConnectionEstablishedV1(tenant_id=TENANT, tenant_name="Meera", connected_at=NOON + timedelta(minutes=1))
        await notifier.connection.established(back)
        await notifier.connection.lost(lost)
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"]


async def test_a_late_event_still_tells_that_the_invoice_is_new(database_url: str) -> None:
    async with world(database_url) as notifier:
        today = {"issued_on": NOON.date(), "due_on": NOON.date() + timedelta(days=30)}
        await notifier.take_in(invoice=today, read_at=NOON)
        create = {"kind": CauseKind.WEBHOOK, "event_type": "CREATE", "event_at": NOON - timedelta(minutes=2)}
        await notifier.take_in(invoice=today | {"number": "OLD"}, cause=create, read_at=NOON - timedelta(minutes=1))
        row = await notifier.intent()
        assert (row.kind, row.invoice_number) == ("issued", "INV-1042")
