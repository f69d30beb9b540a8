"""The login page: checks an authorization request, lets a person allow or deny it, and sends them back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.pages.render import consent_page, message_page
from sandbox.settings import BROAD_SCOPES, GRANULAR_SCOPES, Settings
from sandbox.world import World, note, world_of


class BadRequestError(Exception):
    """A request too wrong to be sent back to the app; shown to the person."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked authorization request; `error` is an OAuth error to send back instead of a code."""

    redirect_uri: str
    state: str | None
    scopes: tuple[str, ...]
    error: str | None

    def back(self, **answer: str) -> str:
        """The redirect address with the answer and the state, exactly as it came."""
        parameters = answer | ({} if self.state is None else {"state": self.state})
        joint = "&" if urlsplit(self.redirect_uri).query else "?"
        return f"{self.redirect_uri}{joint}{urlencode(parameters)}"


def check(parameters: Mapping[str, str], settings: Settings) -> Asked:
    """Check a request; raises BadRequestError when client or redirect address are wrong."""
    if parameters.get("client_id") != settings.client_id:
        raise BadRequestError("unauthorized_client: unknown client_id")
    redirect_uri = parameters.get("redirect_uri", "")
    if not _redirect_allowed(redirect_uri, settings.redirect_uris):
        raise BadRequestError(
            "unauthorized_client: invalid redirect_uri (https, or http://localhost; never an IP address)"
        )
    scopes = tuple(parameters.get("scope", "").split())
    allowed = GRANULAR_SCOPES | (BROAD_SCOPES if settings.allow_broad_scopes else frozenset())
    error = None
    if parameters.get("response_type") != "code":
        error = "unsupported_response_type"
    elif not scopes or not set(scopes) <= allowed:
        error = "invalid_scope"
    return Asked(redirect_uri, parameters.get("state"), scopes, error)


def decide(
    world: World, asked: Asked, *, allow: bool, organisations: Sequence[str] | None = None, user: str | None = None
) -> str:
    """Record the person's decision and return where to send them; no organisations named means all."""
    if asked.error is not None:
        return asked.back(error=asked.error)
    if not allow:
        return asked.back(error="access_denied")
    known = world.books.organisations
    chosen = list(known) if organisations is None else [tenant for tenant in organisations if tenant in known]
    settings = world.settings
    code = world.identity.consent(
        user or settings.auto_user, chosen, asked.scopes, asked.redirect_uri, world.clock(), settings.code_life
    )
    return asked.back(code=code, scope=" ".join(asked.scopes))


async def authorize(request: Request) -> Response:
    """`GET /identity/connect/authorize`: the consent page, or at once an answer."""
    world = world_of(request)
    settings = world.settings
    try:
        asked = check(request.query_params, settings)
    except BadRequestError as error:
        return HTMLResponse(message_page("Sorry, something went wrong", str(error)), 400)
    note(request, error=asked.error)
    if asked.error is not None or settings.auto_consent == "deny":
        return RedirectResponse(decide(world, asked, allow=False), 302)
    if settings.auto_consent == "allow":
        return RedirectResponse(decide(world, asked, allow=True, organisations=settings.auto_organisations), 302)
    organisations = [(item.tenant_id, item.name) for item in world.books.organisations.values()]
    users = sorted({settings.auto_user, *world.identity.users})
    return HTMLResponse(consent_page(organisations, asked.scopes, users, dict(request.query_params)))


async def consent(request: Request) -> Response:
    """`POST /identity/connect/consent`: what the page's Allow and Deny buttons send."""
    world = world_of(request)
    form = await request.form()
    fields = {name: str(value) for name, value in form.items()}
    try:
        asked = check(fields, world.settings)
    except BadRequestError as error:
        return HTMLResponse(message_page("Sorry, something went wrong", str(error)), 400)
    organisations = [str(value) for value in form.getlist("organisation")]
    allow = fields.get("decision") == "allow" and bool(organisations)
    target = decide(world, asked, allow=allow, organisations=organisations, user=fields.get("user") or None)
    return RedirectResponse(target, 303)


def _redirect_allowed(uri: str, registered: Sequence[str]) -> bool:
    if registered and uri not in registered:
        return False
    parts = urlsplit(uri)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme, parts.hostname) == ("http", "localhost"))


def login_routes() -> list[Route]:
    """The login page's addresses."""
    return [
        Route("/identity/connect/authorize", authorize),
        Route("/identity/connect/consent", consent, methods=["POST"]),
    ]
