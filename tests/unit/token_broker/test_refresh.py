"""One refresh for all, whatever Xero answers, and nothing handed out that is not stored."""

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from shared.clients.token_broker import fingerprint
from shared.contracts.connections import ConnectionLostV1
from shared.contracts.tokens import TokenGranted, TokenRefusal, TokenRefused
from shared.errors import ConfigurationError
from token_broker.ports import Grant
from token_broker.tables import grants
from token_broker.timing import Pacing, RefreshTiming
from unit.token_broker.assembly import ACME, BRIO, RING, Replica, open_replica
from unit.token_broker.strict_xero import Reply, StrictXero, body, failing, status


@pytest.fixture
async def expired(replica: Replica) -> Replica:
    """Two organisations of one user, whose access token has run out."""
    assert (await replica.connect("user-1", ACME, BRIO)).status_code == 200
    replica.events.published.clear()
    replica.time.advance(1800)
    return replica


def granted(answer: TokenGranted | TokenRefused) -> TokenGranted:
    assert isinstance(answer, TokenGranted), answer
    return answer


def refusal(answer: TokenGranted | TokenRefused) -> TokenRefused:
    assert isinstance(answer, TokenRefused)
    return answer


async def stored(replica: Replica) -> Grant:
    grant = await replica.grants.read("user-1")
    assert grant is not None
    return grant


async def test_a_fresh_token_is_given_without_asking_xero(replica: Replica, xero: StrictXero) -> None:
    await replica.connect("user-1", ACME)
    first, second = granted(await replica.ask()), granted(await replica.ask())
    assert first == second
    assert xero.counts["accepted"] == 0


async def test_an_unknown_tenant_is_said_to_be_unknown(replica: Replica) -> None:
    assert refusal(await replica.ask("nobody")).reason is TokenRefusal.UNKNOWN_TENANT


async def test_fifty_callers_of_two_tenants_cause_one_refresh(expired: Replica, xero: StrictXero) -> None:
    answers = await asyncio.gather(*(expired.ask(tenant) for tenant in [ACME[0], BRIO[0]] * 25))
    assert len({granted(answer).access_token.get_secret_value() for answer in answers}) == 1
    assert (xero.counts["accepted"], xero.counts["reuse"]) == (1, 0)
    assert (await stored(expired)).generation == 2


async def test_a_refused_token_is_replaced_once_and_a_newer_one_given(replica: Replica, xero: StrictXero) -> None:
    await replica.connect("user-1", ACME)
    first = granted(await replica.ask())
    refused = fingerprint(first.access_token)
    second = granted(await replica.ask(refused=refused))
    third = granted(await replica.ask(refused=refused))
    assert first.access_token != second.access_token == third.access_token
    assert xero.counts["accepted"] == 1


async def test_refusing_every_token_does_not_cause_a_storm(replica: Replica, xero: StrictXero) -> None:
    await replica.connect("user-1", ACME)
    for _ in range(20):
        answer = await replica.ask()
        answer = await replica.ask(refused=fingerprint(granted(answer).access_token))
    assert refusal(answer).reason is TokenRefusal.TRY_LATER
    assert xero.counts["accepted"] == 1


async def test_a_short_lived_token_is_given_all_the_same(expired: Replica, xero: StrictXero) -> None:
    xero.lifetime = 20
    granted(await expired.ask())
    expired.time.advance(19)
    granted(await expired.ask())
    assert xero.counts["accepted"] == 2


@pytest.mark.parametrize(
    ("reply", "wait"),
    [
        (status(503), 30),
        (status(429, **{"Retry-After": "47"}), 47),
        (failing(httpx.ConnectError), 30),
        (status(401), 60),
        (body(400, '{"error": "invalid_client"}'), 60),
        (body(400, "<html>"), 60),
        (status(302), 60),
    ],
)
async def test_a_fault_at_xero_is_answered_with_the_wait(
    expired: Replica, xero: StrictXero, reply: Reply, wait: float
) -> None:
    xero.replies.append(reply)
    assert refusal(await expired.ask()) == TokenRefused(reason=TokenRefusal.TRY_LATER, retry_after=wait)
    refusal(await expired.ask())
    assert xero.counts["replaced"] == 1
    assert xero.counts["accepted"] == 0
    expired.time.advance(wait)
    granted(await expired.ask())
    assert xero.counts["reuse"] == 0


async def test_faults_in_a_row_wait_longer_each_time(expired: Replica, xero: StrictXero) -> None:
    waits = []
    for _ in range(4):
        xero.replies.append(status(503))
        wait = refusal(await expired.ask()).retry_after
        assert wait is not None
        waits.append(wait)
        expired.time.advance(wait)
    assert waits == [30, 60, 120, 240]
    granted(await expired.ask())


@pytest.mark.parametrize(
    "reply",
    [failing(httpx.ReadTimeout), failing(httpx.ReadError), status(500), status(502), status(504), body(200, "no json")],
)
async def test_a_lost_answer_leaves_the_claim_and_the_same_token_is_tried_when_it_lapses(
    expired: Replica, xero: StrictXero, reply: Reply
) -> None:
    xero.replies.append(reply)
    assert refusal(await expired.ask()).reason is TokenRefusal.TRY_LATER
    assert (await stored(expired)).claimed_until is not None
    refusal(await expired.ask())
    assert xero.counts["replaced"] == 1
    expired.time.advance(60)
    granted(await expired.ask())
    assert (xero.counts["accepted"], xero.counts["reuse"]) == (1, 0)


async def test_a_revoked_grant_is_confirmed_then_lost_and_told_to_all_its_tenants(
    expired: Replica, xero: StrictXero
) -> None:
    xero.revoke("user-1")
    assert refusal(await expired.ask()).reason is TokenRefusal.RECONNECT_NEEDED
    assert xero.counts["refused"] == 2
    told = [event for event in expired.events.published if isinstance(event, ConnectionLostV1)]
    assert {event.tenant_id for event in told} == {ACME[0], BRIO[0]}
    assert all(event.reason == "invalid_grant" for event in told)
    assert (await expired.browser.get(told[0].reconnect_url)).status_code == 302
    assert refusal(await expired.ask(BRIO[0])).reason is TokenRefusal.RECONNECT_NEEDED
    assert await expired.connections.connected() == []
    assert xero.counts["refused"] == 2


async def test_one_stray_refusal_loses_nothing(expired: Replica, xero: StrictXero) -> None:
    xero.replies.append(body(400, '{"error": "invalid_grant"}'))
    granted(await expired.ask())
    assert expired.events.published == []


async def test_a_refusal_after_somebody_else_refreshed_gives_their_token(expired: Replica, xero: StrictXero) -> None:
    answers = []

    def overtaken(_: httpx.Request) -> httpx.Response:
        answers.append(asyncio.ensure_future(expired.connect("user-1")))
        return httpx.Response(400, json={"error": "invalid_grant"})

    xero.replies.append(overtaken)
    granted(await expired.ask())
    assert (await answers[0]).status_code == 200
    assert ("lost", "user-1", "invalid_grant") not in expired.figures.seen


async def test_reconnecting_after_a_loss_brings_the_tenants_back(expired: Replica, xero: StrictXero) -> None:
    xero.revoke("user-1")
    refusal(await expired.ask())
    expired.time.advance(100)
    assert (await expired.connect("user-1", ACME)).status_code == 200
    granted(await expired.ask(ACME[0]))
    connected = await expired.connections.connected()
    assert {each.connected_at for each in connected} == {expired.time.clock()}


async def test_a_caller_that_leaves_does_not_stop_the_refresh(expired: Replica, xero: StrictXero) -> None:
    xero.hold = asyncio.Event()
    caller = asyncio.create_task(expired.ask())
    await xero.asked.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    xero.hold.set()
    await expired.refresher.drain()
    assert (await stored(expired)).generation == 2
    assert (xero.counts["accepted"], xero.counts["reuse"]) == (1, 0)


async def test_a_hung_grant_delays_nobody_else(tmp_path: Path, xero: StrictXero) -> None:
    loop = asyncio.get_running_loop()
    pacing = Pacing(replace(RefreshTiming(), patience_seconds=0.2), loop.time, asyncio.sleep, lambda: 0.0)
    async with open_replica(f"sqlite:///{tmp_path / 'broker.db'}", xero, pacing=pacing) as replica:
        await replica.connect("slow", ACME)
        await replica.connect("quick", BRIO)
        replica.time.advance(1800)
        xero.hold, xero.hold_user = asyncio.Event(), "slow"
        slow = [asyncio.create_task(replica.ask(ACME[0])) for _ in range(100)]
        await xero.asked.wait()
        granted(await replica.ask(BRIO[0]))
        assert {refusal(answer).reason for answer in await asyncio.gather(*slow)} == {TokenRefusal.TRY_LATER}
        xero.hold.set()
        await replica.refresher.drain()
        granted(await replica.ask(ACME[0]))
        assert xero.counts["accepted"] == 2


async def test_a_draining_replica_starts_no_refresh(expired: Replica, xero: StrictXero) -> None:
    await expired.refresher.drain()
    assert refusal(await expired.ask()).reason is TokenRefusal.TRY_LATER
    assert xero.counts["accepted"] == 0


async def test_a_claim_that_aged_before_sending_is_given_back_unused(tmp_path: Path, xero: StrictXero) -> None:
    ticks = iter(range(0, 100_000, 50))
    pacing = Pacing(RefreshTiming(), lambda: float(next(ticks)), asyncio.sleep, lambda: 0.0)
    async with open_replica(f"sqlite:///{tmp_path / 'broker.db'}", xero, pacing=pacing) as replica:
        await replica.connect("user-1", ACME)
        replica.time.advance(1800)
        grant = await stored(replica)
        await replica.refresher.newer_than(grant, 5)
        assert xero.counts["accepted"] == 0
        assert (await stored(replica)).claimed_until is None


@pytest.mark.parametrize("column", ["access_token", "refresh_token"])
async def test_a_swapped_ciphertext_is_never_used(replica: Replica, xero: StrictXero, column: str) -> None:
    await replica.connect("user-1", ACME)
    await replica.connect("user-2", BRIO)
    replica.time.advance(1800)
    async with replica.database.transaction() as work:
        query = sa.select(grants.c[column]).where(grants.c.id == "user-2")
        other = (await work.connection.execute(query)).scalar_one()
        await work.connection.execute(sa.update(grants).where(grants.c.id == "user-1").values({column: other}))
    assert refusal(await replica.ask(ACME[0])) == TokenRefused(reason=TokenRefusal.TRY_LATER, retry_after=300)
    assert ("look failed", ACME[0], "seal_broken") in replica.figures.seen
    assert xero.counts["accepted"] == 0


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_no_token_lies_open_in_the_database(expired: Replica, xero: StrictXero, tmp_path: Path) -> None:
    token = granted(await expired.ask()).access_token.get_secret_value()
    raw = content(tmp_path)
    assert b"user-1" in raw
    assert token.encode() not in raw
    assert xero.family("user-1").good.encode() not in raw


async def test_a_key_missing_from_the_ring_stops_the_start(expired: Replica, xero: StrictXero, tmp_path: Path) -> None:
    other = RING.replace("k1", "k2")
    async with open_replica(f"sqlite:///{tmp_path / 'broker.db'}", xero, ring=other) as replica:
        with pytest.raises(ConfigurationError, match="sealed with: k1"):
            await replica.grants.check_keys()
    await expired.grants.check_keys()
