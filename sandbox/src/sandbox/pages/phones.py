"""Draws the customers' phones: a chat for each number, with ticks, buttons and a box to write back."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from sandbox.books import Contact
from sandbox.pages.countries import local_time, significant
from sandbox.pages.elements import button, hidden
from sandbox.whatsapp.outbox import Message

LATEST_PHONES = 25
LATEST_MESSAGES = 12
COUNTRY_CODE = 4


def phones_html(messages: Iterable[Message], contacts: Iterable[Contact]) -> str:
    """Every chat, the one with the newest message first; text for a person when there is none."""
    chats: dict[str, list[Message]] = {}
    for message in messages:
        chats[message.number] = [*chats.pop(message.number, []), message]
    if not chats:
        return (
            '<p class="empty">No phone has rung yet. Messages show here as soon as Duebell sends one: '
            "issue an invoice that is due, or fill a demo book.</p>"
        )
    names = _names(contacts)
    shown = list(reversed(chats.items()))[:LATEST_PHONES]
    more = len(chats) - len(shown)
    rest = f'<p class="empty">and {more} more phones</p>' if more else ""
    return "".join(_phone(number, rows, _name(number, rows, names)) for number, rows in shown) + rest


def _phone(number: str, messages: Sequence[Message], name: str) -> str:
    shown = messages[-LATEST_MESSAGES:]
    earlier = len(messages) - len(shown)
    bubbles = (f'<p class="earlier">{earlier} earlier</p>' if earlier else "") + "".join(map(_bubble, shown))
    title = f"<b>{escape(name)}</b><span>{escape(number)}</span>" if name else f"<b>{escape(number)}</b>"
    return (
        f'<article class="phone"><header><i>{escape(name[:1].upper() or "#")}</i><div>{title}</div></header>'
        f'<div class="chat">{bubbles}</div>'
        f'<form class="reply" method="post" action="/page/write">{hidden("from", number)}{hidden("name", name)}'
        f'<input name="text" value="STOP" aria-label="Message from {escape(number)}" required maxlength="4096">'
        "<button>Send</button></form></article>"
    )


def _bubble(message: Message) -> str:
    text = escape(message.text).replace("\n", "<br>")
    when = f'<time title="{escape(message.time.isoformat())}">{escape(local_time(message.time, message.number))}</time>'
    if message.inbound:
        return f'<div class="bubble in">{text}<div class="meta">{when}</div></div>'
    template = f'<div class="template">{escape(message.template)}</div>' if message.template else ""
    return (
        f'<div class="bubble out">{template}{text}<div class="meta">{when} {_ticks(message.statuses)}</div></div>'
        f'<div class="next">{_next(message)}</div>'
    )


def _ticks(statuses: Sequence[str]) -> str:
    for status, mark in (("failed", "&#10005;"), ("read", "&#10003;&#10003;"), ("delivered", "&#10003;&#10003;")):
        if status in statuses:
            return f'<span class="ticks {status}">{mark}</span> {status}'
    if statuses:
        return '<span class="ticks">&#10003;</span> sent'
    return "accepted"


def _next(message: Message) -> str:
    over = {"failed", "read"} & set(message.statuses)
    wanted = [] if over else [status for status in ("delivered", "read") if status not in message.statuses]
    return "".join(button("status", status, wamid=message.wamid, status=status) for status in wanted)


def _name(number: str, messages: Iterable[Message], names: Mapping[str, str]) -> str:
    digits = significant(number)
    in_books = next((names[digits[cut:]] for cut in range(COUNTRY_CODE) if digits[cut:] in names), "")
    greeted = [row.parameters.get("contact_name", "") for row in messages if not row.inbound]
    return in_books or (greeted[-1] if greeted else "")


def _names(contacts: Iterable[Contact]) -> Mapping[str, str]:
    names: dict[str, str] = {}
    for contact in contacts:
        for phone in contact.phones:
            # an importer may have left the whole number in the area
            for typed in (phone.country + phone.area + phone.number, phone.area + phone.number, phone.area):
                if digits := significant(typed):
                    names.setdefault(digits, contact.name)
    return names
