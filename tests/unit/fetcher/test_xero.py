"""What is sent to Xero, and what its answers and refusals mean."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from fetcher.adapters.permits import Limit
from fetcher.adapters.xero import Xero
from shared.clients.token_broker import fingerprint
from shared.contracts.tokens import TokenRefusal, TokenRefused
from shared.errors import PermanentError, PersonNeededError, RetryableError
from unit.fetcher.calling import Rig, forbidden, ok, one_invoice, refused
from unit.fetcher.samples import NOW, TENANT, guid, invoice_json

_PAGED = {"where", "order", "IDs", "page", "includeArchived", "summaryOnly", "pageSize", "searchTerm"}
OFFICIAL_PARAMETERS = {
    "/api.xro/2.0/Invoices": _PAGED | {"InvoiceNumbers", "ContactIDs", "Statuses", "createdByMyApp", "unitdp"},
    f"/api.xro/2.0/Invoices/{guid(1)}": {"unitdp"},
    f"/api.xro/2.0/Invoices/{guid(1)}/OnlineInvoice": set[str](),
    "/api.xro/2.0/Contacts": _PAGED,
    "/api.xro/2.0/Organisation": set[str](),
}
JSON = {"Content-Type": "application/json"}


QUESTIONS: list[Callable[[Xero], Any]] = [
    lambda xero: xero.invoices(TENANT, lambda: [guid(1)]),
    lambda xero: xero.invoices(TENANT, lambda: [guid(number) for number in range(50)]),
    lambda xero: xero.contacts(TENANT, [guid(number) for number in range(50)]),
    lambda xero: xero.receivables(TENANT, date(2026, 6, 23), 2),
    lambda xero: xero.changed(TENANT, NOW, 1),
    lambda xero: xero.organisation(TENANT),
    lambda xero: xero.online_address(TENANT, guid(1)),
]


@pytest.mark.parametrize("ask", QUESTIONS)
async def test_only_official_parameters_are_sent_in_a_short_query_for_the_right_tenant(
    ask: Callable[[Xero], Any],
) -> None:
    rig = Rig(
        ok(Invoices=[], Contacts=[], OnlineInvoices=[], Organisations=[{"BaseCurrency": "INR", "Timezone": "UTC"}])
    )
    await ask(rig.xero)
    [request] = rig.requests
    assert set(request.url.params) <= OFFICIAL_PARAMETERS[request.url.path]
    assert len(request.url.query) < 2000
    assert request.headers["xero-tenant-id"] == TENANT
    assert request.headers["authorization"] == "Bearer token-1"
    assert request.headers["accept"] == "application/json"


async def test_several_invoices_are_asked_for_in_one_page() -> None:
    rig = Rig(ok(Invoices=[invoice_json(1), invoice_json(2)]))
    answer = await rig.xero.invoices(TENANT, lambda: [guid(1), guid(2)])
    assert answer.asked == (guid(1), guid(2))
    assert answer.page is not None
    assert [row.card for row in answer.page.rows] == [None, None]
    params = rig.requests[0].url.params
    assert (params["IDs"], params["page"], params["pageSize"]) == (f"{guid(1)},{guid(2)}", "1", "100")
    assert rig.sizes == [2]


async def test_receivables_are_filtered_by_xero() -> None:
    rig = Rig(ok(Invoices=[], pagination={"pageCount": 2, "itemCount": 1500}))
    page = await rig.xero.receivables(TENANT, date(2026, 6, 3), 2)
    assert (page.page_count, page.item_count) == (2, 1500)
    params = rig.requests[0].url.params
    assert params["where"] == 'Type=="ACCREC" AND AmountDue>0 AND DueDate<DateTime(2026,6,3)'
    assert (params["Statuses"], params["order"], params["page"]) == ("AUTHORISED", "InvoiceID", "2")


async def test_changes_are_asked_for_by_xeros_clock_in_whole_seconds() -> None:
    rig = Rig(ok(Invoices=[]))
    page = await rig.xero.changed(TENANT, datetime(2026, 6, 3, 7, 5, 9, 5, UTC), 1)
    assert page.server_time == NOW
    assert rig.requests[0].headers["if-modified-since"] == "2026-06-03T07:05:09"
    assert rig.requests[0].url.params["order"] == "UpdatedDateUTC"


async def test_an_address_in_an_answer_is_never_followed() -> None:
    rig = Rig(httpx.Response(302, headers={"Location": "https://elsewhere.test/"}))
    with pytest.raises(RetryableError, match="xero_unavailable"):
        await rig.read()
    assert len(rig.requests) == 1


async def test_fractions_are_exact() -> None:
    body = httpx.Response(200, json={"Invoices": [invoice_json(1)]}).text.replace('"Total":100', '"Total":0.1')
    rig = Rig(httpx.Response(200, text=body, headers={"Content-Type": "application/json; charset=utf-8"}))
    page = (await rig.read()).page
    assert page.rows[0].invoice.total == Decimal("0.1")


async def test_an_expired_token_is_replaced_once_and_the_call_repeated() -> None:
    rig = Rig(refused("TokenExpired: token expired at 04/09/2023 05:16:59"), one_invoice())
    assert (await rig.read()).page is not None
    assert rig.broker.asked == [None, fingerprint(SecretStr("token-1"))]
    assert [request.headers["authorization"] for request in rig.requests] == ["Bearer token-1", "Bearer token-2"]
    assert rig.permits.granted == 2
    await rig.read()
    assert len(rig.broker.asked) == 2


async def test_a_second_refusal_ends_the_call() -> None:
    rig = Rig(refused("TokenExpired: token expired at 04/09/2023 05:16:59"))
    with pytest.raises(RetryableError, match="token_refused"):
        await rig.read()
    assert len(rig.requests) == 2


async def test_a_missing_scope_is_no_reason_for_another_token() -> None:
    rig = Rig(refused("AuthorizationUnsuccessful"))
    with pytest.raises(RetryableError, match="scope_missing") as failure:
        await rig.read()
    assert (failure.value.counts, len(rig.requests), rig.broker.asked) == (False, 1, [None])
    assert (rig.permits.held, rig.permits.limits) == ([300], [Limit.CONSENT])


async def test_a_token_near_its_end_is_not_used() -> None:
    rig = Rig(one_invoice())
    await rig.read()
    rig.clock.advance(27 * 60)
    await rig.read()
    assert len(rig.broker.asked) == 1
    rig.clock.advance(2 * 60)
    await rig.read()
    assert len(rig.broker.asked) == 2


@pytest.mark.parametrize(
    ("refusal", "error", "reason", "retry_after"),
    [
        (TokenRefused(reason=TokenRefusal.UNKNOWN_TENANT), PermanentError, "unknown_tenant", None),
        (TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED), PersonNeededError, "reconnect_needed", None),
        (TokenRefused(reason=TokenRefusal.TRY_LATER, retry_after=7), RetryableError, "token_unavailable", 7),
    ],
)
async def test_without_a_token_nothing_is_sent(
    refusal: TokenRefused, error: type[Exception], reason: str, retry_after: float | None
) -> None:
    rig = Rig(one_invoice())
    rig.broker.refusal = refusal
    with pytest.raises(error, match=reason) as failure:
        await rig.read()
    assert rig.requests == []
    assert rig.permits.granted == 0
    assert getattr(failure.value, "retry_after", None) == retry_after
    assert not getattr(failure.value, "counts", False)


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED), PersonNeededError, "reconnect_needed"),
        (TokenRefused(reason=TokenRefusal.TRY_LATER, retry_after=7), RetryableError, "token_unavailable"),
        (TokenRefused(reason=TokenRefusal.UNKNOWN_TENANT), PermanentError, "unknown_tenant"),
        (None, RetryableError, "forbidden"),
    ],
)
async def test_a_forbidden_tenant_is_asked_about_once_and_its_work_is_held(
    answer: TokenRefused | None, error: type[Exception], reason: str
) -> None:
    rig = Rig(forbidden())
    rig.broker.forbidden = [answer]
    with pytest.raises(error, match=reason) as failure:
        await rig.read()
    assert not getattr(failure.value, "counts", False)
    assert (len(rig.requests), rig.broker.asked_forbidden, len(rig.broker.asked)) == (1, 1, 2)
    assert rig.permits.inside == 0


async def test_after_the_reconnection_a_forbidden_tenants_token_is_asked_for_anew() -> None:
    rig = Rig(forbidden(), one_invoice())
    rig.broker.forbidden = [TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)]
    with pytest.raises(PersonNeededError):
        await rig.read()
    assert (await rig.read()).page is not None
    assert (rig.broker.asked, rig.broker.asked_forbidden) == ([None, None, None], 1)


async def test_other_tenants_keep_their_tokens_when_one_is_forbidden() -> None:
    rig = Rig(one_invoice(), forbidden(), one_invoice())
    rig.broker.forbidden = [TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)]
    await rig.xero.invoices("another", lambda: [guid(1)])
    with pytest.raises(PersonNeededError):
        await rig.read()
    await rig.xero.invoices("another", lambda: [guid(1)])
    assert len(rig.broker.asked) == 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(500, json={"Title": "oops", "Status": 500}), "xero_unavailable"),
        (httpx.Response(503, text="The Xero API is currently offline for maintenance"), "xero_unavailable"),
        (httpx.Response(412, text=""), "xero_unavailable"),
        (httpx.Response(200, html="<html>sorry</html>"), "xero_answer_unreadable"),
        (httpx.Response(200, text='{"Invoices": ['), "xero_answer_unreadable"),
        (httpx.Response(200, text='{"Invoices": [', headers=JSON), "xero_answer_unreadable"),
        (httpx.Response(200, text='{"a": NaN}', headers=JSON), "xero_answer_unreadable"),
        (httpx.Response(200, content=b"\xff\xfe\xfa", headers=JSON), "xero_answer_unreadable"),
        (httpx.Response(200, json=[1]), "xero_answer_unreadable"),
        (httpx.Response(200, json={"Invoices": {}}), "xero_answer_unreadable"),
        (httpx.Response(400, text="Bad Request"), "xero_answer_unreadable"),
        (httpx.RemoteProtocolError("cut"), "xero_unreachable"),
        (httpx.ConnectError("refused"), "xero_unreachable"),
        (TimeoutError(), "xero_timeout"),
    ],
)  # fmt: skip
async def test_passing_faults_are_tried_again(answer: httpx.Response | Exception, reason: str) -> None:
    rig = Rig(answer)
    with pytest.raises(RetryableError, match=reason):
        await rig.read()
    assert rig.permits.inside == 0
    assert rig.permits.lapsing == (reason == "xero_timeout")


async def test_a_question_that_xero_refuses_is_not_asked_again() -> None:
    rig = Rig(httpx.Response(400, json={"ErrorNumber": 51, "Type": "HighVolumeException", "Message": "Ravi's books"}))
    with pytest.raises(PermanentError) as failure:
        await rig.read()
    assert str(failure.value) == "xero_refused_question: error 51"


async def test_not_found_is_an_answer() -> None:
    rig = Rig(httpx.Response(404, text="The resource you're looking for cannot be found"))
    assert (await rig.read()).page is None
    assert await rig.xero.contacts(TENANT, [guid(9001)]) is None


async def test_nothing_modified_is_an_empty_page() -> None:
    rig = Rig(httpx.Response(304))
    assert (await rig.xero.changed(TENANT, NOW, 1)).length == 0


async def test_every_call_is_counted_with_its_size() -> None:
    rig = Rig(httpx.ConnectError("refused"), httpx.Response(404, text="no"))
    with pytest.raises(RetryableError):
        await rig.read()
    await rig.read()
    assert [(endpoint, status) for endpoint, _, status, _ in rig.figures.calls] == [
        ("invoice", "failed"),
        ("invoice", "404"),
    ]
