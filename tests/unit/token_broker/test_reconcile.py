"""What Xero lists decides which organisations are connected; a look costs one call, and believes nothing at once."""

from collections.abc import Sequence

import httpx
import pytest

from shared.contracts.connections import ConnectionEstablishedV1, ConnectionLostV1
from shared.contracts.tokens import TokenGranted, TokenRefusal, TokenRefused
from token_broker.ports import DISCONNECTED, DISCONNECTED_HERE, Held, Organisation
from token_broker.reconcile import Differences, differences
from unit.token_broker.assembly import ACME, BRIO, NOON, Replica
from unit.token_broker.strict_xero import StrictXero, status

DAY = 86_400


def held(tenant: str, name: str = "Acme", *, reason: str | None = None) -> Held:
    return Held(tenant, name, "grant-1", 1, NOON, reason is None, reason or "")


def listed(*tenants: str, name: str = "Acme") -> Sequence[Organisation]:
    return [Organisation(tenant, name) for tenant in tenants]


def test_what_is_no_longer_listed_is_gone() -> None:
    assert differences([held("a"), held("b")], listed("a")) == Differences(gone=(held("b"),))
    assert differences([held("a")], []) == Differences(gone=(held("a"),))


def test_what_was_gone_comes_back_by_being_listed_but_not_what_we_ended() -> None:
    gone, ended = held("a", reason=DISCONNECTED), held("b", reason=DISCONNECTED_HERE)
    assert differences([gone, ended], listed("a", "b")) == Differences(back=(gone,))
    assert differences([gone, ended], []) == Differences()


def test_a_new_name_is_taken_over_and_an_empty_one_is_not() -> None:
    assert differences([held("a")], listed("a", name="New")) == Differences(renamed=((held("a"), "New"),))
    assert differences([held("a")], listed("a", name="")) == Differences()


def test_an_organisation_that_we_do_not_hold_is_not_ours_to_connect() -> None:
    assert differences([], listed("a")) == Differences()


@pytest.fixture
async def connected(replica: Replica) -> Replica:
    assert (await replica.connect("user-1", ACME, BRIO)).status_code == 200
    replica.events.published.clear()
    return replica


async def test_a_forbidden_organisation_that_is_gone_is_said_to_need_reconnecting(
    connected: Replica, xero: StrictXero
) -> None:
    xero.organisations["user-1"] = [BRIO]
    assert await connected.ask(ACME[0], forbidden=True) == TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)
    assert isinstance(await connected.ask(BRIO[0], forbidden=True), TokenGranted)
    (told,) = connected.events.published
    assert isinstance(told, ConnectionLostV1)
    assert (told.tenant_id, told.reason) == (ACME[0], DISCONNECTED)
    assert [each.tenant_id for each in await connected.connections.connected()] == [BRIO[0]]
    assert xero.counts["accepted"] == 0


async def test_a_forbidden_organisation_that_is_listed_gets_its_token(connected: Replica, xero: StrictXero) -> None:
    before = xero.counts["listed"]
    for _ in range(10):
        assert isinstance(await connected.ask(forbidden=True), TokenGranted)
    assert xero.counts["listed"] == before + 1
    connected.time.advance(61)
    await connected.ask(forbidden=True)
    assert xero.counts["listed"] == before + 2


async def test_one_empty_list_is_not_believed(connected: Replica, xero: StrictXero) -> None:
    lists = iter([httpx.Response(200, json=[])])
    whole = xero.connections_list
    xero.connections_reply = lambda request: next(lists, None) or whole(request)
    assert isinstance(await connected.ask(forbidden=True), TokenGranted)
    assert connected.events.published == []
    assert len(await connected.connections.connected()) == 2


async def test_when_xero_does_not_answer_the_question_is_put_off(connected: Replica, xero: StrictXero) -> None:
    xero.connections_reply = status(503)
    answer = await connected.ask(forbidden=True)
    assert isinstance(answer, TokenRefused)
    assert answer.reason is TokenRefusal.TRY_LATER
    assert len(await connected.connections.connected()) == 2
    xero.connections_reply = None
    assert isinstance(await connected.ask(forbidden=True), TokenGranted)


async def test_every_idle_grant_is_refreshed_and_compared_about_once_a_day(
    connected: Replica, xero: StrictXero
) -> None:
    for _ in range(10 * 24):
        connected.time.advance(DAY / 24)
        await connected.keep()
    assert 10 <= xero.counts["accepted"] <= 14
    assert xero.counts["reuse"] == 0
    xero.organisations["user-1"] = []
    connected.time.advance(DAY)
    await connected.keep()
    lost = [event for event in connected.events.published if isinstance(event, ConnectionLostV1)]
    assert {event.tenant_id for event in lost} == {ACME[0], BRIO[0]}


async def test_what_comes_back_at_xero_comes_back_here(connected: Replica, xero: StrictXero) -> None:
    for organisations in ([], [ACME, BRIO]):
        xero.organisations["user-1"] = list(organisations)
        connected.time.advance(DAY)
        await connected.keep()
    kinds = [type(event) for event in connected.events.published]
    assert kinds == [ConnectionLostV1] * 2 + [ConnectionEstablishedV1] * 2
    assert isinstance(await connected.ask(), TokenGranted)


async def test_a_look_that_failed_is_taken_up_again_within_minutes(connected: Replica, xero: StrictXero) -> None:
    xero.connections_reply = status(503)
    connected.time.advance(DAY)
    await connected.keep()
    xero.connections_reply = None
    xero.organisations["user-1"] = [BRIO]
    connected.time.advance(301)
    await connected.keep()
    assert [each.tenant_id for each in await connected.connections.connected()] == [BRIO[0]]


async def test_what_a_consent_no_longer_lists_is_found_by_the_look_that_follows(
    connected: Replica, xero: StrictXero
) -> None:
    xero.organisations["user-1"] = []
    assert (await connected.connect("user-1", BRIO)).status_code == 200
    connected.time.advance(600)
    await connected.keep()
    assert [each.tenant_id for each in await connected.connections.connected()] == [BRIO[0]]
    lost = [event for event in connected.events.published if isinstance(event, ConnectionLostV1)]
    assert [(event.tenant_id, event.reason) for event in lost] == [(ACME[0], DISCONNECTED)]


async def test_an_organisation_that_moved_to_another_grant_is_no_business_of_the_old_one(
    connected: Replica, xero: StrictXero
) -> None:
    assert (await connected.connect("user-2", ACME)).status_code == 200
    xero.organisations["user-1"] = []
    connected.time.advance(DAY)
    await connected.keep()
    assert [each.tenant_id for each in await connected.connections.connected()] == [ACME[0]]
    xero.revoke("user-1")
    assert isinstance(await connected.ask(ACME[0]), TokenGranted)
