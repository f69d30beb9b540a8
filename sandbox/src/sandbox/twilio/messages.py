"""The rules by which Twilio takes or refuses a WhatsApp message; pure except for the state handed in."""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.responses import JSONResponse

from sandbox.settings import Settings
from sandbox.whatsapp.graph import GraphRefusalError
from sandbox.whatsapp.outbox import Message, Outbox
from sandbox.whatsapp.templates import Template, Templates

CHANNEL = "whatsapp:"
KNOWN = {"From", "To", "ContentSid", "ContentVariables", "StatusCallback", "Body"}
_E164 = re.compile(r"\+[1-9]\d{6,14}")


@dataclass(slots=True)
class TwilioRefusalError(Exception):
    """A refusal as Twilio words it."""

    code: int
    message: str
    status: int = 400


def refusal(code: int, status: int, message: str = "Made to fail") -> JSONResponse:
    """A refusal as it is answered."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    return JSONResponse({"code": code, "message": message, "more_info": more, "status": status}, status)


def content_sid(template: str, language: str) -> str:
    """The lasting id under which the sandbox's Twilio knows a template."""
    return f"HX{hashlib.md5(f'{template}/{language}'.encode(), usedforsecurity=False).hexdigest()}"


def new_sid() -> str:
    """A message's id."""
    return f"SM{secrets.token_hex(16)}"


def accept(form: Mapping[str, str], outbox: Outbox, templates: Templates, settings: Settings) -> Message:
    """Check a send request in full and return the message it makes; raises TwilioRefusalError."""
    if unknown := sorted(form.keys() - KNOWN):
        raise TwilioRefusalError(20001, f"Unknown parameter {unknown[0]}")
    if form.get("From") != f"{CHANNEL}{settings.twilio_number}":
        raise TwilioRefusalError(63007, "Twilio could not find a Channel with the specified From address")
    to = form.get("To", "")
    if not to:
        raise TwilioRefusalError(21604, "A 'To' phone number is required")
    if not to.startswith(CHANNEL) or not _E164.fullmatch(to.removeprefix(CHANNEL)):
        raise TwilioRefusalError(21211, f"Invalid 'To' Phone Number: {to}")
    number = to.removeprefix(CHANNEL)
    if number in settings.twilio_unsubscribed:
        raise TwilioRefusalError(21610, "Attempt to send to unsubscribed recipient")
    callback = form.get("StatusCallback")
    if callback is not None and urlsplit(callback).scheme not in {"http", "https"}:
        raise TwilioRefusalError(21609, "The StatusCallback URL is not a valid URL")
    message = _content(form, number, outbox, templates) if "ContentSid" in form else _free(form, number, outbox)
    message.callback = callback
    message.reference = parse_qs(urlsplit(callback or "").query).get("ref", [None])[0]
    try:
        outbox.pace(number, settings)
    except GraphRefusalError:
        raise TwilioRefusalError(20429, "Too Many Requests", 429) from None
    return message


def _content(form: Mapping[str, str], number: str, outbox: Outbox, templates: Templates) -> Message:
    template = _template(form["ContentSid"], templates)
    try:
        values = json.loads(form.get("ContentVariables", "{}"))
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(isinstance(text, str) and text for text in values.values()):
        raise TwilioRefusalError(21656, "The ContentVariables parameter is invalid")
    if set(values) != set(template.variables):
        raise TwilioRefusalError(63028, "Number of parameters provided does not match the expected number")
    if any(re.search(r"[\n\r\t]| {5,}", text) for text in values.values()):
        raise TwilioRefusalError(21656, "The ContentVariables parameter is invalid")
    return Message(
        new_sid(),
        number,
        template.fill(values),
        outbox.clock(),
        template=template.name,
        language=template.language,
        parameters=values,
    )


def _template(sid: str, templates: Templates) -> Template:
    found = next((item for key, item in templates.known.items() if content_sid(*key) == sid), None)
    if found is None:
        raise TwilioRefusalError(21655, "The ContentSid is invalid")
    if found.status != "APPROVED":
        raise TwilioRefusalError(63016, "The template is not approved for WhatsApp")
    return found


def _free(form: Mapping[str, str], number: str, outbox: Outbox) -> Message:
    if not form.get("Body"):
        raise TwilioRefusalError(21619, "A text message body or content is required")
    if not outbox.window_open(number):
        raise TwilioRefusalError(63016, "Outside the allowed window; use a template")
    return Message(new_sid(), number, form["Body"], outbox.clock())


def as_json(message: Message, settings: Settings) -> dict[str, Any]:
    """A message as the API shows it."""
    ours, theirs = f"{CHANNEL}{settings.twilio_number}", f"{CHANNEL}{message.number}"
    return {
        "sid": message.wamid,
        "account_sid": settings.twilio_account_sid,
        "from": theirs if message.inbound else ours,
        "to": ours if message.inbound else theirs,
        "body": message.text,
        "status": message.statuses[-1] if message.statuses else "queued",
        "direction": "inbound" if message.inbound else "outbound-api",
        "date_created": format_datetime(message.time),
        "date_sent": None,
        "error_code": None,
        "error_message": None,
    }
