"""Invoices as Xero prints them."""

from urllib.parse import quote

from fetcher.adapters.answers import read_answer
from fetcher.adapters.calls import Question, XeroCalls
from shared.errors import PermanentError, RetryableError

MOST_BYTES = 10 * 1024 * 1024
_API = "/api.xro/2.0"
_PDF = "application/pdf"
_HEAD = b"%PDF-"
_NO_NAMES = frozenset({"", ".", ".."})
_LONGEST_NAME = 255


class Documents:
    """See :class:`fetcher.ports.XeroDocuments`. Nothing is kept."""

    def __init__(self, calls: XeroCalls) -> None:
        self._calls = calls

    async def pdf(self, tenant_id: str, invoice: str) -> bytes | None:
        """One call for the whole document; None for "not found".

        Raises as :meth:`XeroCalls.get` does, and PermanentError ``not_an_invoice_name``.
        """
        if invoice in _NO_NAMES or len(invoice) > _LONGEST_NAME:
            raise PermanentError("not_an_invoice_name")
        question = Question(
            "invoice_pdf",
            f"{_API}/Invoices/{quote(invoice, safe='')}",
            headers={"Accept": _PDF, "Accept-Encoding": "identity"},
            most_bytes=MOST_BYTES,
            holds_tenant=False,
        )
        response, sent_at = await self._calls.exchange(tenant_id, lambda: question)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if response.status_code == 200 and kind == _PDF and response.content.startswith(_HEAD):
            return response.content
        if response.status_code == 200:
            raise RetryableError("xero_answer_unreadable", "not a PDF")
        if read_answer(response, sent_at) is not None:
            raise RetryableError("xero_answer_unreadable", f"status {response.status_code}")
        return None
