"""The questions asked of Xero's accounting API, with none but its official parameters."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import partial

from fetcher import mapping
from fetcher.adapters.answers import Answer
from fetcher.adapters.calls import Question, XeroCalls
from fetcher.batches import ids_query
from fetcher.dates import date_filter, modified_since
from fetcher.faults import REFUSED_QUESTION, UNAVAILABLE, UNREADABLE
from fetcher.fields import Unreadable
from fetcher.ports import ContactPage, Cut, IdsAnswer, InvoicePage
from fetcher.purposes import Purpose
from shared.contracts.invoices import Organisation
from shared.errors import PermanentError, RetryableError
from shared.telemetry.logging import get_logger

PAGE_SIZE = 1000
_API = "/api.xro/2.0"
_log = get_logger(__name__)


class Xero:
    """Reads invoices, contacts and organisations for one purpose. All methods raise as :meth:`XeroCalls.get` does."""

    def __init__(self, calls: XeroCalls, asked_at_once: Callable[[int], None], purpose: Purpose) -> None:
        self._get = partial(calls.get, purpose=purpose)
        self._asked_at_once = asked_at_once

    async def invoices(self, tenant_id: str, cut: Cut) -> IdsAnswer:
        """Read the cut's invoices: one with its contact in full, several with names only."""
        asked: tuple[str, ...] = ()

        def ask() -> Question:
            nonlocal asked
            asked = tuple(cut())
            self._asked_at_once(len(asked))
            if len(asked) == 1:
                return Question("invoice", f"{_API}/Invoices/{asked[0]}")
            return Question("invoices", f"{_API}/Invoices", ids_query(asked))

        answer = await self._get(tenant_id, ask)
        return IdsAnswer(asked, _page(answer, single=len(asked) == 1) if answer else None)

    async def receivables(self, tenant_id: str, due_before: date, page: int) -> InvoicePage:
        """Unpaid sales invoices due before that day. The order does not change while the scan goes on."""
        where = f'Type=="ACCREC" AND AmountDue>0 AND DueDate<{date_filter(due_before)}'
        params = {"Statuses": "AUTHORISED", "where": where, "order": "InvoiceID", **_paging(page)}
        return _page(await self._list(tenant_id, "receivables", params))

    async def changed(self, tenant_id: str, since: datetime, page: int) -> InvoicePage:
        """Sales invoices of any status changed since then, the longest unchanged first."""
        params = {"where": 'Type=="ACCREC"', "order": "UpdatedDateUTC", **_paging(page)}
        answer = await self._list(tenant_id, "changes", params, {"If-Modified-Since": modified_since(since)})
        return _empty_page(answer) if answer.is_unmodified else _page(answer)

    async def contacts(self, tenant_id: str, ids: Sequence[str]) -> ContactPage | None:
        """These contacts with numbers and groups (told in pages only), archived ones included; None for "not found"."""
        answer = await self._get(tenant_id, lambda: Question("contacts", f"{_API}/Contacts", ids_query(ids)))
        if answer is None:
            return None
        with _readable():
            return ContactPage(mapping.contact_cards(answer.body), answer.sent_at)

    async def online_address(self, tenant_id: str, invoice_id: str) -> str | None:
        """Where the invoice's customer can see it, as Xero writes it; None where Xero offers no such page."""
        path = f"{_API}/Invoices/{invoice_id}/OnlineInvoice"
        try:
            answer = await self._get(tenant_id, lambda: Question("online_invoice", path, holds_tenant=False))
        except PermanentError as error:
            if error.reason == REFUSED_QUESTION:
                return None
            raise
        with _readable():
            return mapping.online_address(answer.body) if answer else None

    async def organisation(self, tenant_id: str) -> Organisation:
        """The organisation; a time zone that we do not know is taken for UTC."""
        answer = await self._get(tenant_id, lambda: Question("organisation", f"{_API}/Organisation"))
        with _readable():
            organisation, unknown_zone = mapping.organisation(answer.body if answer else {})
        if unknown_zone is not None:
            _log.warning("organisation.time_zone_unknown", tenant_id=tenant_id, time_zone=unknown_zone)
        return organisation

    async def _list(
        self, tenant_id: str, endpoint: str, params: dict[str, str], headers: dict[str, str] | None = None
    ) -> Answer:
        question = Question(endpoint, f"{_API}/Invoices", params, headers or {})
        answer = await self._get(tenant_id, lambda: question)
        if answer is None:
            raise RetryableError(UNAVAILABLE, "a list was not found")
        return answer


def _paging(page: int) -> dict[str, str]:
    """Without lines and payments: a thousand invoices stay small, and none of it is used."""
    return {"page": str(page), "pageSize": str(PAGE_SIZE), "summaryOnly": "true"}


def _page(answer: Answer, *, single: bool = False) -> InvoicePage:
    with _readable():
        return mapping.invoice_page(answer.body, answer.sent_at, single=single)


def _empty_page(answer: Answer) -> InvoicePage:
    return InvoicePage((), (), answer.sent_at, server_time=None, page_count=None, item_count=None)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except Unreadable as error:
        raise RetryableError(UNREADABLE, error.field) from error
