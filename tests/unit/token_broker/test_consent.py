"""The consent journey in a browser: every way in, every way it can fail, and nothing half-stored."""

import asyncio
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from shared.contracts.connections import ConnectionEstablishedV1
from shared.contracts.tokens import TokenGranted
from token_broker.keyring import key_id
from token_broker.tables import connections, consents, grants
from unit.token_broker.assembly import ACME, BRIO, NOON, Replica
from unit.token_broker.strict_xero import Reply, StrictXero, body, failing, status


async def rows(replica: Replica, table: sa.Table) -> list[dict[str, Any]]:
    async with replica.database.transaction() as work:
        return [dict(row) for row in (await work.connection.execute(sa.select(table))).mappings()]


async def finish(replica: Replica, **query: str) -> httpx.Response:
    return await replica.browser.get("/callback", params=query)


async def assert_nothing_stored(replica: Replica) -> None:
    assert await rows(replica, grants) == []
    assert await rows(replica, connections) == []
    assert replica.events.published == []
    assert all(row["used_at"] is None and row["claim"] is None for row in await rows(replica, consents))


async def test_a_link_leads_to_xeros_login(replica: Replica) -> None:
    answer = await replica.browser.get(replica.link())
    url = httpx.URL(answer.headers["location"])
    assert (answer.status_code, url.host, url.path) == (302, "login.test", "/identity/connect/authorize")
    parameters = dict(url.params)
    assert len(parameters.pop("state")) > 10
    assert parameters == {
        "response_type": "code",
        "client_id": "client",
        "redirect_uri": "https://broker.test/callback",
        "scope": "openid offline_access accounting.invoices.read accounting.contacts.read",
    }


async def test_a_consent_connects_stores_and_tells(replica: Replica) -> None:
    page = await replica.connect("user-1", ACME, BRIO)
    assert page.status_code == 200
    assert "Acme Ltd" in page.text
    assert "Brio GmbH" in page.text
    assert [(row["id"], row["generation"]) for row in await rows(replica, grants)] == [("user-1", 1)]
    assert replica.events.published == [
        ConnectionEstablishedV1(tenant_id=tenant, tenant_name=name, connected_at=NOON) for tenant, name in (ACME, BRIO)
    ]
    assert isinstance(await replica.ask(BRIO[0]), TokenGranted)
    assert [(row["tenant_id"], row["announced_at"]) for row in await rows(replica, connections)] == [
        (ACME[0], NOON),
        (BRIO[0], NOON),
    ]


async def test_no_cookie_no_cache_no_referrer_and_nothing_from_outside(replica: Replica) -> None:
    for page in (await replica.connect("user-1", ACME), await replica.browser.get("/connect")):
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
        assert "set-cookie" not in page.headers
        assert "http" not in page.text.replace("https://broker.test", "")


async def test_an_organisations_name_cannot_write_html(replica: Replica) -> None:
    page = await replica.connect("user-1", ("tenant-x", "<script>alert(1)</script>"))
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_an_unused_link_may_be_opened_twice_and_a_used_one_not(replica: Replica, xero: StrictXero) -> None:
    link = replica.link()
    first, second = await replica.state(link), await replica.state(link)
    assert first == second
    assert (await finish(replica, state=first, code=xero.code_for("user-1", ACME))).status_code == 200
    page = await replica.browser.get(link)
    assert (page.status_code, "already used" in page.text) == (410, True)


async def test_a_link_that_was_changed_or_has_expired_is_refused(replica: Replica) -> None:
    link = replica.link(hours=1)
    assert (await replica.browser.get(link.replace("nonce=nonce-", "nonce=nonce_"))).status_code == 403
    replica.time.advance(3600)
    page = await replica.browser.get(link)
    assert (page.status_code, "expired" in page.text) == (410, True)
    assert await rows(replica, consents) == []


async def test_an_unknown_state_is_refused_before_xero_is_asked(replica: Replica, xero: StrictXero) -> None:
    for query in ({"state": "invented", "code": "x"}, {"code": "x"}, {"error": "access_denied"}):
        assert (await finish(replica, **query)).status_code == 400
    assert not xero.families


async def test_a_state_lives_an_hour_and_reopening_the_link_renews_it(replica: Replica, xero: StrictXero) -> None:
    link = replica.link()
    state = await replica.state(link)
    replica.time.advance(3600)
    assert (await finish(replica, state=state, code=xero.code_for("user-1", ACME))).status_code == 410
    await replica.state(link)
    assert (await finish(replica, state=state, code=xero.code_for("user-1", ACME))).status_code == 200


async def test_a_callback_works_once(replica: Replica, xero: StrictXero) -> None:
    state = await replica.state(replica.link())
    await finish(replica, state=state, code=xero.code_for("user-1", ACME))
    page = await finish(replica, state=state, code=xero.code_for("user-2", BRIO))
    assert (page.status_code, "already completed" in page.text) == (410, True)
    assert [row["id"] for row in await rows(replica, grants)] == ["user-1"]


async def test_two_callbacks_at_once_exchange_one_code(replica: Replica, xero: StrictXero) -> None:
    state = await replica.state(replica.link())
    codes = [xero.code_for("user-1", ACME) for _ in range(2)]
    pages = await asyncio.gather(*(finish(replica, state=state, code=code) for code in codes))
    assert sorted(page.status_code for page in pages) in ([200, 409], [200, 410])
    assert len(xero.families) == 1


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ({"error": "access_denied"}, 403, "Access was not granted"),
        ({"error": "invalid_scope"}, 400, "invalid_scope"),
        ({"error": "<b>odd</b>"}, 400, "could not complete"),
        ({}, 400, "could not complete"),
        ({"code": "never given"}, 400, "did not accept"),
    ],
)
async def test_a_login_without_a_good_code_stores_nothing_and_can_be_repeated(
    replica: Replica, xero: StrictXero, query: dict[str, str], code: int, text: str
) -> None:
    link = replica.link()
    page = await finish(replica, state=await replica.state(link), **query)
    assert (page.status_code, text in page.text, "odd" in page.text) == (code, True, False)
    assert "Try again" in page.text
    await assert_nothing_stored(replica)
    good = await finish(replica, state=await replica.state(link), code=xero.code_for("user-1", ACME))
    assert good.status_code == 200


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (status(500), 503),
        (status(429), 503),
        (failing(httpx.ConnectError), 503),
        (failing(httpx.ReadTimeout), 503),
        (body(200, "[]"), 503),
        (body(200, '{"token_type": "Bearer"}'), 503),
        (body(401, '{"error": "invalid_client"}'), 503),
        (body(400, '{"error": "invalid_grant"}'), 400),
    ],
)
async def test_a_failed_exchange_stores_nothing_and_can_be_repeated(
    replica: Replica, xero: StrictXero, reply: Reply, code: int
) -> None:
    link = replica.link()
    xero.replies.append(reply)
    page = await finish(replica, state=await replica.state(link), code="any")
    assert page.status_code == code
    await assert_nothing_stored(replica)
    good = await finish(replica, state=await replica.state(link), code=xero.code_for("user-1", ACME))
    assert good.status_code == 200


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (body(200, "[]"), 400),
        (body(200, '[{"tenantId": "p", "tenantType": "PRACTICE", "tenantName": "P"}, 7, {"tenantType": null}]'), 400),
        (body(200, "{}"), 503),
        (status(403), 503),
        (status(500), 503),
        (failing(httpx.ReadTimeout), 503),
    ],
)
async def test_without_organisations_nothing_is_stored(
    replica: Replica, xero: StrictXero, reply: Reply, code: int
) -> None:
    xero.connections_reply = reply
    page = await replica.connect("user-1", ACME)
    assert page.status_code == code
    await assert_nothing_stored(replica)


async def test_a_missing_offline_access_is_named(replica: Replica, xero: StrictXero) -> None:
    xero.offline = False
    page = await replica.connect("user-1", ACME)
    assert (page.status_code, "offline_access" in page.text) == (400, True)
    await assert_nothing_stored(replica)


async def test_missing_scopes_are_named(replica: Replica, xero: StrictXero) -> None:
    xero.scope = "openid offline_access accounting.invoices.read"
    page = await replica.connect("user-1", ACME)
    assert (page.status_code, "accounting.contacts.read" in page.text) == (400, True)
    assert "accounting.invoices.read" not in page.text
    await assert_nothing_stored(replica)


async def test_one_user_has_one_grant_however_often_they_consent(replica: Replica, xero: StrictXero) -> None:
    await replica.connect("user-1", ACME)
    replica.time.advance(60)
    await replica.connect("user-1", BRIO)
    assert [(row["id"], row["generation"]) for row in await rows(replica, grants)] == [("user-1", 2)]
    since = {row["tenant_id"]: row["connected_at"] for row in await rows(replica, connections)}
    assert since == {ACME[0]: NOON, BRIO[0]: replica.time.clock()}


async def test_an_organisation_reconnected_by_another_user_moves_to_their_grant(
    replica: Replica, xero: StrictXero
) -> None:
    await replica.connect("user-1", ACME)
    await replica.connect("user-2", ACME)
    assert [(row["tenant_id"], row["grant_id"]) for row in await rows(replica, connections)] == [(ACME[0], "user-2")]
    assert len(await rows(replica, grants)) == 2


async def test_opaque_tokens_make_a_grant_of_their_own(replica: Replica, xero: StrictXero) -> None:
    xero.opaque = True
    await replica.connect("user-1", ACME)
    await replica.connect("user-1", BRIO)
    assert len({row["id"] for row in await rows(replica, grants)}) == 2
    assert {key_id(row["access_token"]) for row in await rows(replica, grants)} == {"k1"}


async def test_what_the_broker_did_not_take_is_told_later_and_once(replica: Replica) -> None:
    replica.events.down = True
    assert (await replica.connect("user-1", ACME)).status_code == 200
    assert replica.events.published == []
    replica.events.down = False
    await replica.announce()
    await replica.announce()
    assert len(replica.events.published) == 1


async def test_a_head_request_uses_nothing_up(replica: Replica, xero: StrictXero) -> None:
    state = await replica.state(replica.link())
    code = xero.code_for("user-1", ACME)
    assert (await replica.browser.head("/callback", params={"state": state, "code": code})).status_code == 405
    assert (await finish(replica, state=state, code=code)).status_code == 200
