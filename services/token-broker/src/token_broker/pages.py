"""The few pages a person sees while connecting an organisation: small, escaped, with nothing from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from token_broker.problems import Problem

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_STYLE = """
:root { color-scheme: light dark;
  --ink: #17212b; --soft: #5a6772; --paper: #fff; --ground: #eef2f5; --accent: #0b6e4f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eef2; --soft: #9fb0bc; --paper: #1b242c; --ground: #11181d; --accent: #4cc79a; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.25rem; background: var(--ground);
  color: var(--ink); font: 1.0625rem/1.55 system-ui, sans-serif; }
main { width: 100%; max-width: 32rem; background: var(--paper); border-radius: 14px; padding: 2rem;
  box-shadow: 0 1px 3px rgb(0 0 0 / .12); overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .75rem; }
p { margin: .75rem 0 0; }
ul { margin: .75rem 0 0; padding-left: 1.25rem; font-weight: 600; }
small { display: block; margin-top: 1.75rem; color: var(--soft); }
a { color: var(--accent); font-weight: 600; }
code { font-size: .95em; }
"""


@dataclass(frozen=True)
class Page:
    status: int
    title: str
    text: str


_ASK = "Ask for a new link from whoever sent you this one."
_PROBLEMS = {
    Problem.LINK_INVALID: Page(403, "This link is not valid", f"It may have been cut off when it was copied. {_ASK}"),
    Problem.LINK_EXPIRED: Page(410, "This link has expired", _ASK),
    Problem.LINK_USED: Page(410, "This link was already used", f"Each link connects once. {_ASK}"),
    Problem.STATE_UNKNOWN: Page(
        400, "We did not expect this visit", "Please start again from the link that you were sent."
    ),
    Problem.STATE_EXPIRED: Page(410, "That took too long", "Please start again from the link that you were sent."),
    Problem.STATE_USED: Page(
        410, "This was already completed", "The organisation is connected, and this page can be closed."
    ),
    Problem.BEING_FINISHED: Page(
        409, "Still connecting", "Another tab is completing this. Please wait a moment, then reload the page."
    ),
    Problem.DENIED: Page(403, "Access was not granted", "You chose not to connect. Nothing was stored."),
    Problem.LOGIN_FAILED: Page(400, "Xero could not complete the login", "Nothing was stored."),
    Problem.CODE_REFUSED: Page(
        400, "Xero did not accept the login", "It may have taken longer than five minutes. Nothing was stored."
    ),
    Problem.XERO_UNAVAILABLE: Page(
        503, "Xero does not answer", "Nothing was stored. Please try again in a few minutes."
    ),
    Problem.OFFLINE_ACCESS_MISSING: Page(
        400,
        "A permission is missing",
        "Xero did not grant offline_access, which keeps the connection alive. Nothing was stored.",
    ),
    Problem.SCOPES_MISSING: Page(400, "A permission is missing", "Nothing was stored. Xero did not grant:"),
    Problem.NO_ORGANISATION: Page(
        400, "No organisation was chosen", "Xero named no organisation for this login. Nothing was stored."
    ),
    Problem.OUT_OF_ORDER: Page(
        503, "We cannot do this right now", "Please try again in a few minutes, with the same link."
    ),
}


def problem_page(problem: Problem, detail: str = "", again: str | None = None) -> tuple[int, str]:
    """The status and the page of a failed consent."""
    page = _PROBLEMS[problem]
    parts = [f"<p>{escape(page.text)}</p>"]
    if detail:
        parts.append(f"<p><code>{escape(detail)}</code></p>")
    if again:
        parts.append(f'<p><a href="{escape(again)}" rel="noreferrer">Try again</a></p>')
    return page.status, _page(page.title, "".join(parts))


def success_page(organisations: Sequence[str]) -> tuple[int, str]:
    """The page that names what was connected."""
    names = "".join(f"<li>{escape(name)}</li>" for name in organisations)
    title = "Connected" if len(organisations) == 1 else f"{len(organisations)} organisations connected"
    text = "Duebell can now read the invoices and contacts of:"
    return 200, _page(title, f"<p>{text}</p><ul>{names}</ul><p>This page can be closed.</p>")


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)} · Duebell</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}<small>Duebell</small></main></body></html>"
    )
