"""The page at `/`: shows the state of both doubles and takes its forms, from itself only."""

import base64
import hashlib
from collections.abc import Callable
from html import escape
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.books import BookError
from sandbox.pages.countries import COUNTRIES
from sandbox.pages.elements import button, pill
from sandbox.pages.forms import ACTS
from sandbox.pages.organisations import organisation_html
from sandbox.pages.phones import phones_html
from sandbox.pages.render import fill, read, rows_html
from sandbox.summary import summary_of
from sandbox.world import World, world_of


class Desk:
    """The page's addresses; remembers one sentence about the last form until it has been shown."""

    def __init__(self) -> None:
        """Nothing to say yet."""
        self.notice = ""
        digest = base64.b64encode(hashlib.sha256(read("home.js").encode()).digest()).decode()
        # the page holds buttons that change things, so nothing may run in it, frame it or be sent elsewhere
        self.headers = {
            "content-security-policy": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
            "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
            "referrer-policy": "same-origin",
            "cache-control": "no-store",
        }

    async def home(self, request: Request) -> Response:
        """`GET /`: everything."""
        world = world_of(request)
        notice, self.notice = self.notice, ""
        page = fill(
            "home.html",
            style=read("home.css"),
            script=read("home.js"),
            notice=f'<p class="notice" role="status">{escape(notice)}</p>' if notice else "",
            phones=phones(world),
            organisations=organisations(world),
            countries="".join(f'<option value="{code}">{escape(row.name)}</option>' for code, row in COUNTRIES.items()),
            summary=rows_html(
                {name.replace("_", " ").capitalize(): value for name, value in summary_of(world).items()}
            ),
            settings=rows_html(world.settings.model_dump(mode="json")),
        )
        return HTMLResponse(page, headers=self.headers)

    async def act(self, request: Request) -> Response:
        """`POST /page/{act}`: what a form asks for, then back to the page; 403 from another site, 404 unknown."""
        if not from_this_page(request):
            raise HTTPException(403, "Forms are taken from the sandbox's own page only.")
        act = ACTS.get(request.path_params["act"])
        if act is None:
            raise HTTPException(404)
        form = {name: str(value) for name, value in (await request.form()).items()}
        try:
            self.notice = await act(world_of(request), form)
        except ValidationError as error:
            self.notice = "Not done. " + "; ".join(
                f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
            )
        except BookError as error:
            self.notice = f"Not done: {error}."
        except KeyError as error:
            self.notice = f"Not done: {error} is not known."
        return RedirectResponse("/", 303)


def from_this_page(request: Request) -> bool:
    """Whether a browser says that the request comes from a page of this very origin."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site not in {None, "same-origin"} or (site is None and origin is None):
        return False
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def phones(world: World) -> str:
    """The customers' phones."""
    contacts = [contact for rows in world.books.contacts.values() for contact in rows.values()]
    return phones_html(world.outbox.messages.values(), contacts)


def organisations(world: World) -> str:
    """The hint while nothing is connected, the handshakes, and every organisation."""
    connected = {link.tenant_id for link in world.identity.connections.values()}
    books = world.books
    cards = "".join(
        organisation_html(
            item, books.contacts[tenant], list(books.invoices[tenant].values()), connected=tenant in connected
        )
        for tenant, item in books.organisations.items()
    )
    first = "" if books.organisations else "Add an organisation below. Then run"
    hint = (
        f'<p class="hint">No organisation is connected yet. {first or "Run"} <code>make connect-link</code> and open '
        "the link it prints.</p>"
    )
    return ("" if connected else hint) + _handshakes(world) + (cards or '<p class="empty">No organisation yet.</p>')


def _handshakes(world: World) -> str:
    tried = world.journal.select("whatsapp.verification")
    meta = "unverified" if not tried else "refused" if tried[-1]["problems"] else "verified"
    styles = {"enabled": "good", "verified": "good", "unverified": "faint"}
    xero = world.xero_webhooks.status
    return (
        '<div class="handshakes"><b>Shake hands</b>'
        f"{button('handshake', 'Xero: intent to receive')}{pill(xero, styles.get(xero, 'bad'))}"
        f"{button('verify', 'Meta: verification')}{pill(meta, styles.get(meta, 'bad'))}</div>"
    )


def _fragment(draw: Callable[[World], str]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return HTMLResponse(draw(world_of(request)), headers={"cache-control": "no-store"})

    return endpoint


def page_routes() -> list[Route]:
    """The page, the parts of it that refresh, and where its forms go."""
    desk = Desk()
    return [
        Route("/", desk.home),
        Route("/page/phones", _fragment(phones)),
        Route("/page/organisations", _fragment(organisations)),
        Route("/page/{act}", desk.act, methods=["POST"]),
    ]
