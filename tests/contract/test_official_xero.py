"""Xero's own OpenAPI files accept what our adapters send and what the sandbox answers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from urllib.parse import parse_qsl

import httpx
import pytest
from pydantic import SecretStr

from fetcher.adapters.calls import Question, XeroCalls
from fetcher.adapters.documents import Documents
from fetcher.adapters.xero import Xero
from fetcher.purposes import Purpose
from fetcher.time_zones import iana_name
from sandbox.app import create_app
from sandbox.client import Sandbox
from shared.errors import DuebellError
from support.official import OfficialFile
from support.official_files import keeping, official_file, unknown
from token_broker.adapters.xero_identity import XeroIdentity
from token_broker.ports import TokenPair
from unit.fetcher.calling import FakePermits, Figures
from unit.sandbox.playing import BASE, CALLBACK, Clock, Double, Receiver

API = "https://api.xero.com"
IDENTITY = "https://identity.xero.com"
TODAY = date(2026, 6, 23)

ENVELOPE = "around every answer of the accounting API; the file shows it in its examples alone"
TEXT_DATE = "stands beside the date in every recorded answer; the file describes UpdatedDateUTCString alone"
ONLY_SUCCESS = "the file describes 200 and 400 alone; Xero's pages describe the refusals"
KNOWN_ACCOUNTING = {
    "header if-modified-since: date-time": "Xero's page: UTC without a zone; with one, day and month were seen swapped",
    "path InvoiceID: uuid": "the parameter's own description and Xero's page: a number may stand for the id",
    "answer 200 application/pdf: undescribed": "the page and the SDK ask by Accept; the file invents a path for it",
    **{f"answer .{name}: undescribed": ENVELOPE for name in ("Id", "Status", "ProviderName", "DateTimeUTC")},
    **{
        f"answer .Invoices[].{name}String: undescribed": TEXT_DATE
        for name in ("Date", "DueDate", "ExpectedPaymentDate")
    },
    **{f"answer {status}: undescribed": ONLY_SUCCESS for status in (401, 403, 404, 429, 500, 502, 503)},
    "answer 400: undescribed": "a refused question looks as the file's 400Error, which only PUT and POST name",
}
KNOWN_IDENTITY = {
    "path /Connections: letter case": "Xero's pages write it small",
    "path /Connections/{id}: letter case": "Xero's pages write it small",
    **{
        f"answer [].{name}DateUtc: date-time": "the file's own example has no zone, and RFC 3339 wants one"
        for name in ("created", "updated")
    },
    "POST /connect/revocation: undescribed": "the file describes connections alone; Xero's page and SDK have it",
    "answer 401: undescribed": ONLY_SUCCESS,
}
KNOWN_TOKENS = {
    "form .code: undescribed": "RefreshToken describes a refresh; a code is exchanged at the same address",
    "form .redirect_uri: undescribed": "RefreshToken describes a refresh; a code is exchanged at the same address",
    "answer .scope: undescribed": "Xero says which scopes it granted, as OAuth allows",
}
KNOWN_WEBHOOKS = {
    "body .events[].eventDateUtc: date-time": "the file's own examples have no zone, and RFC 3339 wants one",
    "body .firstEventSequence: minimum": "the intent to receive counts from 0 in every capture",
    "body .lastEventSequence: minimum": "the intent to receive counts from 0 in every capture",
}


@dataclass
class Tokens:
    """The tokens that a test got, one for all tenants."""

    token: SecretStr
    refusals: list[SecretStr] = field(default_factory=list)

    async def access(self, tenant_id: str) -> SecretStr:
        return self.token

    async def replace(self, tenant_id: str, refused: SecretStr) -> SecretStr:
        self.refusals.append(refused)
        return self.token

    async def check_connected(self, tenant_id: str) -> None:
        return None

    def forget(self, tenant_id: str) -> None:
        raise AssertionError(tenant_id)


@dataclass
class Scene:
    """The sandbox in this process, our adapters in front of it, and all that went between them."""

    double: Double
    identity: XeroIdentity
    calls: XeroCalls
    tokens: Tokens
    seen: list[httpx.Response]

    @property
    def xero(self) -> Xero:
        return Xero(self.calls, lambda _: None, Purpose.EVENT)

    async def consent(self, **changes: str) -> TokenPair:
        pair = await self.identity.exchange(await self.double.code(**changes))
        self.tokens.token = pair.access_token
        return pair

    async def booked(self, **organisation: str) -> tuple[str, list[str]]:
        tenant = (await self.double.admin.organisation(**organisation))["tenant_id"]
        return tenant, [row["invoice_id"] for row in await self.double.admin.book(tenant, TODAY)]

    def faults(self, official: OfficialFile, address: str, known: dict[str, str], used: set[str]) -> list[str]:
        judged = [answer for answer in self.seen if str(answer.request.url).startswith(address)]
        assert judged
        faults = [fault for answer in judged for fault in official.exchange(answer)]
        for answer in judged:
            if answer.status_code == 400:
                faults += official.value(official.schema("Error"), answer.json(), "refusal ")
        return unknown(faults, known, used)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    clock, receiver, seen = Clock(), Receiver(), list[httpx.Response]()
    app = create_app(httpx.AsyncClient(transport=httpx.MockTransport(receiver)), clock)
    transport = httpx.ASGITransport(app=app)
    async with (
        httpx.AsyncClient(transport=transport, base_url=BASE) as plain,
        httpx.AsyncClient(transport=transport, base_url=API, event_hooks=keeping(seen)) as api,
        httpx.AsyncClient(transport=transport, base_url=IDENTITY, event_hooks=keeping(seen)) as login,
    ):
        identity = XeroIdentity(
            login,
            api,
            client_id="sandbox-client",
            client_secret=SecretStr("sandbox-secret"),
            redirect_uri=CALLBACK,
            deadline_seconds=10,
        )
        tokens = Tokens(SecretStr(""))
        calls = XeroCalls(api, tokens, FakePermits(), clock, Figures())
        yield Scene(Double(app, plain, Sandbox(BASE, plain), clock, receiver), identity, calls, tokens, seen)
        await app.state.world.close()


@pytest.fixture(scope="module")
def accounting() -> OfficialFile:
    return official_file("xero_accounting.yaml")


@pytest.fixture(scope="module")
def identity_file() -> OfficialFile:
    return official_file("xero-identity.yaml")


async def ask_everything(scene: Scene, tenant: str, invoices: list[str]) -> None:
    """Every question of the fetcher's about one organisation, within a minute's calls."""
    xero, documents = scene.xero, Documents(scene.calls)
    await xero.organisation(tenant)
    for invoice in invoices:
        await xero.invoices(tenant, partial(list, [invoice]))
    answer = await xero.invoices(tenant, lambda: invoices)
    assert answer.page is not None
    await xero.contacts(tenant, [row.contact_id for row in answer.page.rows])
    assert (await xero.receivables(tenant, TODAY + timedelta(days=4), 1)).rows
    assert (await xero.changed(tenant, scene.double.clock.now - timedelta(days=1), 1)).rows
    assert (await xero.changed(tenant, scene.double.clock.now + timedelta(days=1), 1)).rows == ()
    assert {await xero.online_address(tenant, invoice) for invoice in invoices[-15:]} != {None}
    assert await documents.pdf(tenant, invoices[0])
    assert await documents.pdf(tenant, answer.page.rows[0].invoice.number)


async def refused_in_every_way(scene: Scene, tenant: str, invoice: str) -> None:
    """Every refusal that the sandbox knows."""
    ask = partial(scene.xero.invoices, tenant, lambda: [invoice])
    assert (await scene.xero.invoices(tenant, lambda: ["00000000-0000-4000-8000-000000000000"])).page is None
    for effect in ("status429", "status500", "status503", "html"):
        await scene.double.admin.faults([{"on": "/api.xro/*", "effect": effect, "times": 3}])
        with pytest.raises(DuebellError):
            await ask()
    await scene.double.admin.faults()
    drafts = [row for row in await scene.double.admin.book(tenant, TODAY) if row["case"] == "draft"]
    assert await scene.xero.online_address(tenant, drafts[0]["invoice_id"]) is None
    await scene.double.admin.settings(high_volume_rows=1)
    response = await scene.calls.exchange(tenant, lambda: Question("x", "/api.xro/2.0/Invoices", {"where": "Total>1"}))
    assert response[0].json()["ErrorNumber"] == 51
    await scene.double.admin.settings(calls_per_minute=0)
    with pytest.raises(DuebellError, match="rate_limited"):
        await ask()
    with pytest.raises(DuebellError, match="forbidden"):
        await scene.xero.organisation("11111111-1111-4111-8111-111111111111")
    granted = scene.tokens.token
    await scene.consent(scope="openid offline_access accounting.contacts.read")
    with pytest.raises(DuebellError, match="scope_missing"):
        await ask()
    scene.tokens.token = granted
    await scene.double.admin.expire_tokens()
    with pytest.raises(DuebellError, match="token_refused"):
        await ask()


async def test_the_accounting_file_accepts_every_question_and_every_answer(
    scene: Scene, accounting: OfficialFile
) -> None:
    books = [
        await scene.booked(),
        await scene.booked(name="Kea", country="NZ", timezone="NEWZEALANDSTANDARDTIME", currency="NZD"),
    ]
    await scene.consent()
    for tenant, invoices in books:
        await ask_everything(scene, tenant, invoices)
    scene.double.clock.forward(61)
    await refused_in_every_way(scene, books[0][0], books[0][1][0])
    used: set[str] = set()
    assert scene.faults(accounting, f"{API}/api.xro/", KNOWN_ACCOUNTING, used) == []
    assert used == set(KNOWN_ACCOUNTING)


async def test_the_identity_file_accepts_connections(scene: Scene, identity_file: OfficialFile) -> None:
    await scene.booked()
    pair = await scene.consent()
    [organisation] = await scene.identity.organisations(pair.access_token)
    await scene.identity.disconnect(pair.access_token, organisation.connection_id)
    await scene.identity.disconnect(pair.access_token, organisation.connection_id)
    assert pair.refresh_token is not None
    await scene.identity.revoke(pair.refresh_token)
    with pytest.raises(DuebellError):
        await scene.identity.organisations(SecretStr("no token"))
    used: set[str] = set()
    faults = scene.faults(identity_file, f"{API}/connections", KNOWN_IDENTITY, used)
    faults += scene.faults(identity_file, f"{IDENTITY}/connect/revocation", KNOWN_IDENTITY, used)
    assert faults == []
    assert used == set(KNOWN_IDENTITY)


async def test_tokens_are_asked_for_where_and_as_the_identity_file_says(
    scene: Scene, identity_file: OfficialFile
) -> None:
    await scene.booked()
    pair = await scene.consent()
    assert pair.refresh_token is not None
    await scene.identity.refresh(pair.refresh_token, lambda: True)
    flow = identity_file.at("components", "securitySchemes", "OAuth2", "flows", "authorizationCode")
    used: set[str] = set()
    assert len(scene.seen) == 2
    for answer in scene.seen:
        assert str(answer.request.url) == flow["tokenUrl"]
        form = dict(parse_qsl(answer.request.content.decode()))
        faults = [
            *identity_file.value(identity_file.schema("RefreshToken"), form, "form "),
            *identity_file.value(identity_file.schema("AccessToken"), answer.json(), "answer "),
        ]
        assert unknown(faults, KNOWN_TOKENS, used) == []
    assert used == set(KNOWN_TOKENS)


async def test_the_webhooks_file_accepts_every_delivery(scene: Scene) -> None:
    official = official_file("xero-webhooks.yaml")
    admin = scene.double.admin
    await admin.settings(webhook_url="http://receiver/webhooks/xero", webhook_delay=0)
    await admin.handshake()
    tenant, invoices = await scene.booked()
    ids = {"tenant_id": tenant, "resource_id": invoices[0]}
    await admin.send_events([ids | {"category": category} for category in ("INVOICE", "CONTACT")])
    await admin.send_events([ids | {"type": "CREATE"}])
    credit_note = {"category": "CREDITNOTE", "data": {"Type": "ACCRECCREDIT", "Status": "AUTHORISED"}}
    await admin.send_events([ids | credit_note])
    used: set[str] = set()
    bodies = scene.double.receiver.bodies()
    assert len(bodies) == 7
    for body in bodies:
        name = "creditNotes" if any("data" in event for event in body["events"]) else "invoices"
        schema = official.at("webhooks", name, "post", "requestBody", "content", "application/json", "schema")
        assert unknown(official.value(schema, body, "body "), KNOWN_WEBHOOKS, used) == []
    assert used == set(KNOWN_WEBHOOKS)


def test_every_time_zone_of_the_file_is_one_of_ours(accounting: OfficialFile) -> None:
    names = accounting.schema("TimeZone")["enum"]
    assert len(names) > 100
    assert {name for name in names if iana_name(name) is None} == set()
