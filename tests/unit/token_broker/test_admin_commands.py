"""Disconnecting and revoking by our own wish: Xero first, then the record, and what happens between the two."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count

import httpx
import pytest
from pydantic import SecretStr

from shared.contracts.connections import ConnectionLostV1
from shared.contracts.tokens import TokenGranted, TokenRefusal, TokenRefused
from token_broker.adapters.overview_store import SqlOverview
from token_broker.adapters.xero_identity import XeroIdentity
from token_broker.admin.disconnect import Disconnect, Disconnected
from token_broker.admin.overview import Shown
from token_broker.admin.refusals import Affected, CommandRefused, Refusal
from token_broker.admin.revoke import EndGrant, Revoke, Revoked
from token_broker.ports import DISCONNECTED, DISCONNECTED_HERE, INVALID_GRANT, REVOKED_HERE, Claim
from token_broker.timing import Pacing, RefreshTiming
from unit.token_broker.assembly import ACME, BRIO, Replica
from unit.token_broker.strict_xero import Reply, StrictXero, failing, status

DAY = 86_400
ACME_ENDED, BRIO_ENDED = Affected(*ACME), Affected(*BRIO)
RECONNECT = TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)


class Interrupted(XeroIdentity):
    """Lets something happen just before a revocation is sent, once."""

    before_revoking: Callable[[], Awaitable[object]] | None = None

    async def revoke(self, refresh_token: SecretStr) -> None:
        happening, self.before_revoking = self.before_revoking, None
        if happening is not None:
            await happening()
        await super().revoke(refresh_token)


@dataclass
class Desk:
    identity: Interrupted
    disconnect: Disconnect
    revoke: Revoke
    overview: SqlOverview


@pytest.fixture
async def desk(replica: Replica, xero: StrictXero) -> AsyncIterator[Desk]:
    owners = count()
    pacing = Pacing(RefreshTiming(), replica.time.monotonic, replica.time.pause, lambda: 0.0)
    async with AsyncExitStack() as stack:
        identity = Interrupted(
            await stack.enter_async_context(xero.client()),
            await stack.enter_async_context(xero.client()),
            client_id="client",
            client_secret=SecretStr("secret"),
            redirect_uri="https://broker.test/callback",
            deadline_seconds=20,
        )
        grants, connections = replica.grants, replica.connections
        end_grant = EndGrant(
            grants,
            connections,
            identity,
            replica.figures,
            replica.announce,
            pacing=pacing,
            new_owner=lambda: f"operator-{next(owners)}",
        )
        yield Desk(
            identity,
            Disconnect(
                grants,
                connections,
                identity,
                replica.refresher,
                end_grant,
                replica.figures,
                replica.announce,
                pacing,
            ),
            Revoke(grants, end_grant),
            SqlOverview(replica.database),
        )


@pytest.fixture
async def connected(replica: Replica) -> Replica:
    assert (await replica.connect("user-1", ACME, BRIO)).status_code == 200
    replica.events.published.clear()
    return replica


def told(replica: Replica) -> list[tuple[str, str]]:
    """Tenant and reason of every announced loss."""
    return [(e.tenant_id, e.reason) for e in replica.events.published if isinstance(e, ConnectionLostV1)]


async def claimed(replica: Replica, life_seconds: float = 50) -> Claim:
    grant = await replica.grants.of_tenant(ACME[0])
    assert grant is not None
    claim = await replica.grants.claim(grant, "somebody else", life_seconds)
    assert claim is not None
    return claim


async def refused(work: Awaitable[object], refusal: Refusal) -> CommandRefused:
    with pytest.raises(CommandRefused) as caught:
        await work
    assert caught.value.refusal is refusal
    return caught.value


async def test_a_disconnected_organisation_is_gone_at_xero_and_here_and_its_sibling_stays(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    assert await desk.disconnect(ACME[0]) == Disconnected(*ACME, was_listed=True, grant="kept")
    assert xero.organisations["user-1"] == [BRIO]
    assert told(connected) == [(ACME[0], DISCONNECTED_HERE)]
    assert await connected.ask(ACME[0]) == RECONNECT
    assert isinstance(await connected.ask(BRIO[0]), TokenGranted)
    assert (xero.counts["revoked"], xero.counts["accepted"]) == (0, 0)


async def test_with_the_last_organisation_the_grant_ends_too(connected: Replica, desk: Desk, xero: StrictXero) -> None:
    await desk.disconnect(ACME[0])
    assert (await desk.disconnect(BRIO[0])).grant == "revoked"
    assert xero.counts["revoked"] == 1
    assert {each.key for each in await desk.overview()} == {""}
    assert told(connected) == [(ACME[0], DISCONNECTED_HERE), (BRIO[0], DISCONNECTED_HERE)]
    assert (await connected.connect("user-1", ACME)).status_code == 200
    assert isinstance(await connected.ask(ACME[0]), TokenGranted)
    assert await connected.ask(BRIO[0]) == RECONNECT


async def test_a_last_grant_that_xero_does_not_revoke_is_said_and_can_be_revoked_later(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    await desk.disconnect(ACME[0])
    xero.replies.append(status(503))
    done = await desk.disconnect(BRIO[0])
    assert (done.grant, "http_503" in done.grant_trouble) == ("unrevoked", True)
    assert await desk.revoke(BRIO[0], several=False) == Revoked(())
    assert xero.counts["revoked"] == 1


async def test_an_old_token_is_refreshed_first(connected: Replica, desk: Desk, xero: StrictXero) -> None:
    connected.time.advance(1790)
    assert (await desk.disconnect(ACME[0])).was_listed
    assert (xero.counts["accepted"], xero.counts["reuse"]) == (1, 0)


async def test_an_organisation_that_is_gone_at_xero_is_recorded_after_a_second_look(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    xero.organisations["user-1"] = [BRIO]
    before = xero.counts["listed"]
    assert not (await desk.disconnect(ACME[0])).was_listed
    assert xero.counts["listed"] == before + 2
    assert told(connected) == [(ACME[0], DISCONNECTED_HERE)]


async def test_one_short_list_does_not_leave_it_connected_at_xero(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    lists = iter([httpx.Response(200, json=[])])
    xero.connections_reply = lambda request: next(lists, None) or xero.connections_list(request)
    assert (await desk.disconnect(ACME[0])).was_listed
    assert xero.organisations["user-1"] == [BRIO]


@pytest.mark.parametrize(
    ("reply", "refusal"),
    [
        (status(503), Refusal.XERO_UNAVAILABLE),
        (status(429), Refusal.XERO_UNAVAILABLE),
        (failing(httpx.ConnectError), Refusal.XERO_UNAVAILABLE),
        (status(504), Refusal.XERO_SILENT),
        (failing(httpx.ReadTimeout), Refusal.XERO_SILENT),
    ],
)
@pytest.mark.parametrize("call", ["connections_reply", "disconnect_reply"])
async def test_when_xero_does_not_act_nothing_changes(
    connected: Replica, desk: Desk, xero: StrictXero, call: str, reply: Reply, refusal: Refusal
) -> None:
    setattr(xero, call, reply)
    await refused(desk.disconnect(ACME[0]), refusal)
    assert told(connected) == []
    assert isinstance(await connected.ask(ACME[0]), TokenGranted)
    setattr(xero, call, None)
    await desk.disconnect(ACME[0])
    assert told(connected) == [(ACME[0], DISCONNECTED_HERE)]


async def test_a_crash_between_xero_and_the_record_is_found_by_the_daily_look(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    xero.organisations["user-1"] = [BRIO]
    connected.time.advance(DAY)
    await connected.keep()
    assert told(connected) == [(ACME[0], DISCONNECTED)]
    refusal = await refused(desk.disconnect(ACME[0]), Refusal.ALREADY_LOST)
    assert DISCONNECTED in refusal.text


async def test_two_at_once_end_it_once(connected: Replica, desk: Desk, xero: StrictXero) -> None:
    first, second = (desk.disconnect(ACME[0]) for _ in range(2))
    ends = await asyncio.gather(first, second, return_exceptions=True)
    late = [end for end in ends if not isinstance(end, Disconnected)]
    assert len(late) < 2
    assert all(isinstance(end, CommandRefused) and end.refusal is Refusal.ALREADY_LOST for end in late)
    assert xero.counts["disconnected"] == 1
    assert told(connected) == [(ACME[0], DISCONNECTED_HERE)]


async def test_commands_for_unknown_and_lost_organisations_are_refused(connected: Replica, desk: Desk) -> None:
    await refused(desk.disconnect("nobody"), Refusal.UNKNOWN_TENANT)
    await refused(desk.revoke("nobody", several=True), Refusal.UNKNOWN_TENANT)
    await desk.disconnect(ACME[0])
    refusal = await refused(desk.disconnect(ACME[0]), Refusal.ALREADY_LOST)
    assert DISCONNECTED_HERE in refusal.text
    await desk.revoke(BRIO[0], several=False)
    await refused(desk.revoke(BRIO[0], several=False), Refusal.ALREADY_REVOKED)


async def test_a_revoked_grant_ends_all_its_organisations(connected: Replica, desk: Desk, xero: StrictXero) -> None:
    assert (await connected.connect("user-2", ("tenant-crux", "Crux"))).status_code == 200
    assert await desk.revoke(ACME[0], several=True) == Revoked((ACME_ENDED, BRIO_ENDED))
    assert told(connected) == [(ACME[0], REVOKED_HERE), (BRIO[0], REVOKED_HERE)]
    assert xero.organisations["user-1"] == []
    assert [await connected.ask(tenant) for tenant in (ACME[0], BRIO[0])] == [RECONNECT] * 2
    assert isinstance(await connected.ask("tenant-crux"), TokenGranted)


async def test_several_organisations_are_ended_only_when_that_is_meant(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    refusal = await refused(desk.revoke(ACME[0], several=False), Refusal.SEVERAL)
    assert refusal.organisations == (ACME_ENDED, BRIO_ENDED)
    assert (xero.counts["revoked"], told(connected)) == (0, [])
    await desk.disconnect(ACME[0])
    assert await desk.revoke(BRIO[0], several=False) == Revoked((BRIO_ENDED,))


async def test_a_grant_that_is_being_refreshed_is_waited_for_and_then_said_to_be_busy(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    claim = await claimed(connected)
    await refused(desk.revoke(ACME[0], several=True), Refusal.BUSY)
    assert connected.time.elapsed == pytest.approx(8, abs=0.2)
    await connected.grants.put_off(claim, 0, failures=0, refusals=0)
    await desk.revoke(ACME[0], several=True)
    assert xero.counts["revoked"] == 1


async def test_a_refresh_whose_end_is_unknown_does_not_keep_a_grant(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    await claimed(connected, life_seconds=50)
    connected.time.advance(51)
    await desk.revoke(ACME[0], several=True)
    assert xero.counts["revoked"] == 1
    assert (await desk.overview())[0].reason == REVOKED_HERE


@pytest.mark.parametrize(
    ("reply", "refusal"),
    [(status(503), Refusal.XERO_UNAVAILABLE), (failing(httpx.ReadTimeout), Refusal.XERO_SILENT)],
)
async def test_a_revocation_without_an_answer_can_be_repeated(
    connected: Replica, desk: Desk, xero: StrictXero, reply: Reply, refusal: Refusal
) -> None:
    xero.replies.append(reply)
    await refused(desk.revoke(ACME[0], several=True), refusal)
    assert told(connected) == []
    await desk.revoke(ACME[0], several=True)
    assert told(connected) == [(ACME[0], REVOKED_HERE), (BRIO[0], REVOKED_HERE)]


async def test_an_unfinished_revocation_of_an_unknown_refresh_stays_unknown(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    await claimed(connected)
    connected.time.advance(51)
    xero.replies.append(failing(httpx.ReadTimeout))
    await refused(desk.revoke(ACME[0], several=True), Refusal.XERO_SILENT)
    assert {each.refresh for each in await desk.overview()} == {"unknown"}


async def test_a_revocation_that_only_xero_knows_of_ends_as_a_refused_refresh(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    xero.revoke("user-1")
    connected.time.advance(1790)
    assert await connected.ask(ACME[0]) == RECONNECT
    await refused(desk.revoke(ACME[0], several=True), Refusal.ALREADY_REVOKED)


async def test_a_consent_in_the_midst_of_a_revocation_is_revoked_too(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    desk.identity.before_revoking = lambda: connected.connect("user-1", ACME)
    assert (await desk.revoke(ACME[0], several=True)).organisations[0] == ACME_ENDED
    assert xero.counts["revoked"] == 2
    assert all(family.revoked for family in xero.families)
    assert await connected.ask(ACME[0]) == RECONNECT


async def test_what_joins_a_grant_while_xero_revokes_it_is_ended_with_it(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    await desk.disconnect(ACME[0])
    desk.identity.before_revoking = lambda: connected.connect("user-1", ACME, BRIO)
    assert await desk.revoke(BRIO[0], several=False) == Revoked((ACME_ENDED, BRIO_ENDED))
    assert await connected.ask(ACME[0]) == RECONNECT


async def test_the_database_going_away_after_a_revocation_leaves_a_grant_that_gives_nothing(
    connected: Replica, desk: Desk, xero: StrictXero
) -> None:
    claim = await claimed(connected)
    await desk.identity.revoke(claim.refresh_token)
    connected.time.advance(51)
    await connected.keep()
    assert await connected.ask(ACME[0]) == RECONNECT
    assert told(connected) == [(ACME[0], INVALID_GRANT), (BRIO[0], INVALID_GRANT)]


async def test_the_overview_shows_how_each_grant_does(connected: Replica, desk: Desk, xero: StrictXero) -> None:
    acme, brio = await desk.overview()
    assert (acme.tenant_name, brio.tenant_name) == ("Acme Ltd", "Brio GmbH")
    assert (acme.status, acme.reason, acme.grant, acme.refresh, acme.key) == ("connected", "", "user-1", "none", "k1")
    assert acme.refreshed_at == acme.since
    assert acme.expires_at is not None
    assert (acme.expires_at - acme.since).total_seconds() == 1800
    xero.replies.append(status(503))
    connected.time.advance(1790)
    await connected.ask(ACME[0])
    assert (await desk.overview())[0].refresh == "backing_off"
    connected.time.advance(60)
    await claimed(connected)
    assert (await desk.overview())[0].refresh == "claimed"
    await connected.announce()
    connected.time.advance(51)
    assert (await desk.overview())[0].refresh == "unknown"
    assert all("token" not in repr(each) for each in await desk.overview())


async def test_a_lost_organisation_is_shown_with_its_reason_and_nothing_of_its_grant(
    connected: Replica, desk: Desk
) -> None:
    connected.time.advance(60)
    await desk.revoke(ACME[0], several=True)
    (acme, _) = await desk.overview()
    assert acme == Shown(*ACME, "lost", REVOKED_HERE, connected.time.clock(), "user-1", None, None, None, "")
