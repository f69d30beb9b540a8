"""Fills the HTML pages; every value is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any


def message_page(title: str, text: str) -> str:
    """A page that says one thing."""
    return _fill("message.html", title=escape(title), text=escape(text))


def consent_page(
    organisations: Sequence[tuple[str, str]], scopes: Sequence[str], users: Sequence[str], request: Mapping[str, str]
) -> str:
    """The login page: pick a user and organisations, then Allow or Deny."""
    boxes = "".join(
        f'<label class="row"><input type="checkbox" name="organisation" value="{escape(tenant)}" checked>'
        f"<span>{escape(name)}</span></label>"
        for tenant, name in organisations
    )
    return _fill(
        "consent.html",
        organisations=boxes or "<p>There is no organisation yet. Create one with POST /sandbox/organisations.</p>",
        scopes="".join(f"<li>{escape(scope)}</li>" for scope in scopes),
        users="".join(f"<option>{escape(user)}</option>" for user in users),
        hidden="".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in request.items()
        ),
    )


def home_page(
    settings: Mapping[str, Any],
    organisations: Iterable[Mapping[str, Any]],
    summary: Mapping[str, Any],
    messages: Iterable[Mapping[str, Any]],
) -> str:
    """The overview: latest messages as chat bubbles, organisations, counts and settings."""
    return _fill(
        "home.html",
        messages="".join(_bubble(message) for message in messages) or '<p class="faint">No messages yet.</p>',
        organisations="".join(
            f"<tr><td>{escape(str(row['name']))}</td><td>{escape(str(row['country']))}</td>"
            f"<td>{row['invoices']} invoices</td><td><code>{escape(str(row['tenant_id']))}</code></td></tr>"
            for row in organisations
        )
        or '<tr><td class="faint">None yet: POST /sandbox/organisations, then POST /sandbox/book.</td></tr>',
        summary=_rows(summary),
        settings=_rows(settings),
    )


def _bubble(message: Mapping[str, Any]) -> str:
    side = "in" if message["inbound"] else "out"
    text = escape(str(message["text"])).replace("\n", "<br>")
    return (
        f'<div class="bubble {side}"><div class="who">{escape(str(message["number"]))}</div>{text}'
        f'<div class="meta">{escape(str(message["time"])[11:19])} {escape(str(message["status"]))}</div></div>'
    )


def _rows(values: Mapping[str, Any]) -> str:
    return "".join(f"<tr><td>{escape(str(k))}</td><td>{escape(str(v))}</td></tr>" for k, v in values.items())


def _fill(name: str, **values: str) -> str:
    page = files("sandbox.pages").joinpath(name).read_text(encoding="utf-8")
    return Template(page).substitute(values)
