"""The accounting API: who may call it, how often, and what each address answers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.books import Contact, Invoice
from sandbox.journal import short_hash
from sandbox.world import World, note, world_of
from sandbox.xero.identity import TokenRefusedError
from sandbox.xero.query import CONTACT_PARAMETERS, INVOICE_PARAMETERS, QueryError, contact_page, invoice_page
from sandbox.xero.shapes import (
    contact_json,
    envelope,
    invoice_json,
    organisation_json,
    pagination,
    problem,
    validation_error,
)
from sandbox.xero.written import as_pdf, as_xml

MAX_QUERY = 2048
NOT_FOUND = "The resource you're looking for cannot be found"
READERS = {
    "invoices": ("accounting.invoices", "accounting.transactions"),
    "contacts": ("accounting.contacts",),
    "settings": ("accounting.settings",),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One admitted request."""

    request: Request
    world: World
    tenant: str


Answerer = Callable[[Call], Response]


def guarded(answerer: Answerer, area: str, parameters: frozenset[str]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint behind Xero's checks: token, scope, tenant, limits, query length, known parameters."""

    async def endpoint(request: Request) -> Response:
        world = world_of(request)
        tenant = request.headers.get("xero-tenant-id", "")
        note(request, tenant=tenant or None, modified_since=request.headers.get("if-modified-since"))
        refused = _authenticate(world, request, tenant, area)
        if refused is not None:
            return refused
        limiter = world.limiter
        verdict = limiter.enter(tenant, world.clock(), world.settings)
        if verdict.problem is not None:
            world.journal.breach(f"limit_{verdict.problem}", tenant, path=request.url.path)
            return Response(status_code=429, headers=verdict.headers)
        try:
            delay = max(world.settings.xero_latency, request.scope.get("sandbox.delay", 0))
            if delay:
                await asyncio.sleep(delay)
            answer = _check_query(world, request, tenant, parameters) or _answer(answerer, Call(request, world, tenant))
        finally:
            limiter.leave(tenant)
        answer.headers.update(verdict.headers)
        return answer

    return endpoint


def _authenticate(world: World, request: Request, tenant: str, area: str) -> Response | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return JSONResponse(problem(401, "Unauthorized", "AuthenticationUnsuccessful"), 401)
    note(request, token=short_hash(token))
    try:
        claims = world.identity.claims(token, world.clock())
    except TokenRefusedError as refusal:
        return JSONResponse(problem(401, "Unauthorized", str(refusal)), 401)
    if world.identity.connection(claims["xero_userid"], tenant) is None:
        return JSONResponse(problem(403, "Forbidden", "AuthenticationUnsuccessful"), 403)
    if not any(f"{scope}{right}" in claims["scope"] for scope in READERS[area] for right in ("", ".read")):
        return JSONResponse(problem(401, "Unauthorized", "AuthorizationUnsuccessful"), 401)
    return None


def _check_query(world: World, request: Request, tenant: str, parameters: frozenset[str]) -> Response | None:
    if len(request.scope["query_string"]) > MAX_QUERY:
        world.journal.breach("query_too_long", tenant, length=len(request.scope["query_string"]))
        return PlainTextResponse(NOT_FOUND, 404)
    names = [name for name, _ in request.query_params.multi_items()]
    strange = sorted({name for name in names if name not in parameters or names.count(name) > 1})
    if strange:
        world.journal.breach("unknown_parameter", tenant, parameters=strange)
        return JSONResponse(validation_error(f"Unknown or repeated query parameter: {', '.join(strange)}"), 400)
    return None


def _answer(answerer: Answerer, call: Call) -> Response:
    try:
        return answerer(call)
    except QueryError as error:
        if error.breach:
            call.world.journal.breach(error.breach, call.tenant, detail=str(error))
        return JSONResponse(validation_error(str(error), error.number, error.type), 400)


def _written(call: Call, **content: Any) -> Response:
    body = envelope(call.world.clock(), **content)
    if "json" in call.request.headers.get("accept", ""):
        return JSONResponse(body)
    # without an Accept that names JSON, Xero writes XML
    return Response(as_xml(body), media_type="text/xml; charset=utf-8")


def _invoice(call: Call) -> Invoice | None:
    wanted = call.request.path_params["id"]
    invoices = call.world.books.invoices[call.tenant]
    if wanted.lower() in invoices:
        return invoices[wanted.lower()]
    return next((item for item in invoices.values() if item.number == wanted), None)


def _contact_of(call: Call, invoice: Invoice) -> Contact:
    return call.world.books.contacts[call.tenant][invoice.contact_id]


def organisation(call: Call) -> Response:
    """`GET /Organisation`."""
    return _written(call, Organisations=[organisation_json(call.world.books.organisations[call.tenant])])


def invoice(call: Call) -> Response:
    """`GET /Invoices/{id or number}`: everything, or the PDF when that is what is accepted."""
    found = _invoice(call)
    if found is None:
        return PlainTextResponse(NOT_FOUND, 404)
    if "application/pdf" in call.request.headers.get("accept", ""):
        return Response(as_pdf(f"Invoice {found.number}"), media_type="application/pdf")
    return _written(call, Invoices=[invoice_json(found, _contact_of(call, found), full=True, lines=True)])


def online_invoice(call: Call) -> Response:
    """`GET /Invoices/{id}/OnlineInvoice`: sales only, and not drafts."""
    found = _invoice(call)
    if found is None:
        return PlainTextResponse(NOT_FOUND, 404)
    if found.type != "ACCREC" or found.status == "DRAFT":
        return JSONResponse(validation_error("An online invoice is not available for this document"), 400)
    return _written(
        call, OnlineInvoices=[{"OnlineInvoiceUrl": f"https://in.xero.com/{found.invoice_id.replace('-', '')}"}]
    )


def invoices(call: Call) -> Response:
    """`GET /Invoices`: contacts reduced to id and name; lines only when paged."""
    page = invoice_page(
        call.world.books.invoices[call.tenant].values(),
        call.world.books.contacts[call.tenant],
        call.request.query_params,
        call.request.headers.get("if-modified-since"),
        call.world.settings.high_volume_rows,
    )
    rows = [
        invoice_json(item, _contact_of(call, item), full=False, lines=page.number is not None, summary=page.summary)
        for item in page.rows
    ]
    note(call.request, rows=len(rows))
    paging = {} if page.number is None else {"pagination": pagination(page.number, page.size, page.total)}
    return _written(call, **paging, Invoices=rows)


def contact(call: Call) -> Response:
    """`GET /Contacts/{id}`."""
    found = call.world.books.contacts[call.tenant].get(call.request.path_params["id"].lower())
    return (
        PlainTextResponse(NOT_FOUND, 404)
        if found is None
        else _written(call, Contacts=[contact_json(found, grouped=True)])
    )


def contacts(call: Call) -> Response:
    """`GET /Contacts`: with telephone numbers; archived ones only on request."""
    page = contact_page(
        call.world.books.contacts[call.tenant].values(),
        call.request.query_params,
        call.request.headers.get("if-modified-since"),
    )
    rows = [contact_json(item, grouped=page.number is not None) for item in page.rows]
    note(call.request, rows=len(rows))
    if page.summary:
        for row in rows:
            row["Phones"] = []
    paging = {} if page.number is None else {"pagination": pagination(page.number, page.size, page.total)}
    return _written(call, **paging, Contacts=rows)


def accounting_routes() -> list[Route]:
    """The part of Xero's accounting API that reminders need."""
    base, nothing = "/api.xro/2.0", frozenset[str]()
    table: list[tuple[str, Answerer, str, frozenset[str]]] = [
        ("/Organisation", organisation, "settings", nothing),
        ("/Invoices", invoices, "invoices", INVOICE_PARAMETERS),
        ("/Invoices/{id}", invoice, "invoices", frozenset({"unitdp"})),
        ("/Invoices/{id}/OnlineInvoice", online_invoice, "invoices", nothing),
        ("/Contacts", contacts, "contacts", CONTACT_PARAMETERS),
        ("/Contacts/{id}", contact, "contacts", nothing),
    ]
    return [Route(base + path, guarded(answerer, area, known)) for path, answerer, area, known in table]
