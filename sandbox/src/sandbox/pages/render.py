"""Fills the HTML pages; every value is escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any


def message_page(title: str, text: str) -> str:
    """A page that says one thing."""
    return fill("message.html", title=escape(title), text=escape(text))


def consent_page(
    organisations: Sequence[tuple[str, str]], scopes: Sequence[str], users: Sequence[str], request: Mapping[str, str]
) -> str:
    """The login page: pick a user and organisations, then Allow or Deny."""
    boxes = "".join(
        f'<label class="row"><input type="checkbox" name="organisation" value="{escape(tenant)}" checked>'
        f"<span>{escape(name)}</span></label>"
        for tenant, name in organisations
    )
    return fill(
        "consent.html",
        organisations=boxes or "<p>There is no organisation yet. Add one on the sandbox's own page.</p>",
        scopes="".join(f"<li>{escape(scope)}</li>" for scope in scopes),
        users="".join(f"<option>{escape(user)}</option>" for user in users),
        hidden="".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in request.items()
        ),
    )


def rows_html(values: Mapping[str, Any]) -> str:
    """Names and values as the rows of a description list; values within a value stand on lines of their own."""
    return "".join(f"<dt>{escape(name)}</dt><dd>{_value(value)}</dd>" for name, value in values.items())


def read(name: str) -> str:
    """One of the files beside this module."""
    return files("sandbox.pages").joinpath(name).read_text(encoding="utf-8")


def fill(name: str, **values: str) -> str:
    """The file with its places filled; the values are HTML already."""
    return Template(read(name)).substitute(values)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(str(name))}: {_inner(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(escape(str(inner)) for inner in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else escape(str(value))


def _inner(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(name))} {escape(str(inner))}" for name, inner in value.items()) or "none"
    return escape(str(value))
