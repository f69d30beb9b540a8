"""The few HTML elements the page is made of; every value is escaped."""

from html import escape


def hidden(name: str, value: str) -> str:
    """A field that the form carries unseen."""
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'


def button(act: str, label: str, style: str = "", **fields: str) -> str:
    """A form that is one button, posting `fields` to `/page/{act}`."""
    carried = "".join(hidden(name, value) for name, value in fields.items())
    return (
        f'<form class="one" method="post" action="/page/{escape(act)}">{carried}'
        f'<button class="{escape(style)}">{escape(label)}</button></form>'
    )


def pill(text: str, style: str = "") -> str:
    """A short word in a coloured lozenge."""
    return f'<span class="pill {escape(style)}">{escape(text)}</span>'
