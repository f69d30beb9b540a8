"""An invoice's PDF: whole, of bounded size, really one, or not at all."""

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from fetcher.adapters.documents import MOST_BYTES, Documents
from shared.errors import DuebellError, PermanentError, RetryableError
from unit.fetcher.calling import Rig, refused
from unit.fetcher.samples import TENANT

PDF = b"%PDF-1.4 a page"


def printed(content: bytes = PDF, kind: str = "application/pdf", **headers: str) -> httpx.Response:
    return httpx.Response(200, content=content, headers={"Content-Type": kind, **headers})


async def fetched(rig: Rig, invoice: str = "INV-1") -> bytes | None:
    return await Documents(rig.calls).pdf(TENANT, invoice)


async def test_a_pdf_is_one_permitted_authorised_call() -> None:
    rig = Rig(printed())
    assert await fetched(rig) == PDF
    [request] = rig.requests
    assert request.url.path == "/api.xro/2.0/Invoices/INV-1"
    assert (request.headers["accept"], request.headers["xero-tenant-id"]) == ("application/pdf", TENANT)
    assert request.headers["authorization"] == "Bearer token-1"
    assert (rig.permits.granted, [(call[0], call[2]) for call in rig.figures.calls]) == (
        1,
        [("invoice_pdf", "200")],
    )


@pytest.mark.parametrize("number", ["2026/001", "a?b=c", "../Contacts", "a#b", "a b"])
async def test_a_number_stays_one_step_of_the_path(number: str) -> None:
    rig = Rig(printed())
    await fetched(rig, number)
    raw = rig.requests[0].url.raw_path
    assert raw.startswith(b"/api.xro/2.0/Invoices/")
    assert not set(b"/?#") & set(raw.removeprefix(b"/api.xro/2.0/Invoices/"))


@pytest.mark.parametrize("number", ["", ".", "..", "x" * 256])
async def test_what_names_no_invoice_is_not_asked_for(number: str) -> None:
    rig = Rig(printed())
    with pytest.raises(PermanentError, match="not_an_invoice_name"):
        await fetched(rig, number)
    assert rig.requests == []


async def test_not_found_is_none() -> None:
    assert await fetched(Rig(httpx.Response(404, text="The resource you're looking for cannot be found"))) is None


@pytest.mark.parametrize(
    "answer",
    [
        printed(kind="text/html"),
        printed(b"<html>"),
        printed(b""),
        printed(kind="application/json"),
        httpx.Response(304),
    ],
)
async def test_what_is_no_pdf_is_refused(answer: httpx.Response) -> None:
    with pytest.raises(RetryableError, match="xero_answer_unreadable"):
        await fetched(Rig(answer))


async def test_too_much_is_given_up_while_it_comes() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield PDF + b"x" * 1_000_000
            sent.append(1)

    sent: list[int] = []
    answer = httpx.Response(200, content=endless(), headers={"Content-Type": "application/pdf"})
    with pytest.raises(RetryableError, match="xero_answer_too_large"):
        await fetched(Rig(answer))
    assert len(sent) <= MOST_BYTES // 1_000_000 + 1


async def test_a_compressed_answer_is_read_as_what_it_says() -> None:
    answer = printed(gzip.compress(PDF), **{"Content-Encoding": "gzip"})
    assert await fetched(Rig(answer)) == PDF


async def test_an_expired_token_is_replaced_and_a_refusal_has_its_name() -> None:
    assert await fetched(Rig(refused("TokenExpired: token expired at 04/09/2023 05:16:59"), printed())) == PDF
    with pytest.raises(DuebellError, match="scope_missing"):
        await fetched(Rig(refused("AuthorizationUnsuccessful")))
