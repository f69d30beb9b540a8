"""The two addresses a person's browser visits: ``/connect`` and ``/callback``."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from shared.errors import RetryableError
from token_broker.consent import FinishConsent, StartConsent
from token_broker.pages import HEADERS, problem_page, success_page
from token_broker.problems import ConsentRefused, Problem

Correlated = Callable[[str | None], AbstractContextManager[str]]


def consent_routes(start: StartConsent, finish: FinishConsent, correlated: Correlated) -> list[Route]:
    async def connect(request: Request) -> Response:
        with correlated(None):
            try:
                return RedirectResponse(await start(request.query_params), status_code=302, headers=HEADERS)
            except ConsentRefused as refusal:
                return _page(*problem_page(refusal.problem, refusal.detail, refusal.again))
            except RetryableError:
                return _page(*problem_page(Problem.OUT_OF_ORDER))

    async def callback(request: Request) -> Response:
        with correlated(None):
            try:
                organisations = await finish(request.query_params)
            except ConsentRefused as refusal:
                return _page(*problem_page(refusal.problem, refusal.detail, refusal.again))
            except RetryableError:
                return _page(*problem_page(Problem.OUT_OF_ORDER))
            return _page(*success_page([organisation.name for organisation in organisations]))

    return [_get_only("/connect", connect), _get_only("/callback", callback)]


def _get_only(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    """Without HEAD, which Starlette adds and link previews send: it would use up a code."""
    route = Route(path, endpoint, methods=["GET"])
    route.methods = {"GET"}
    return route


def _page(status: int, html: str) -> Response:
    return HTMLResponse(html, status_code=status, headers=HEADERS)
