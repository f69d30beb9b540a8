"""Twilio as a provider: one POST of a content template, its answer read strictly, and the list of what it took."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx

from notifier.adapters.one_post import post_once
from notifier.halts import CONNECT_SECONDS
from notifier.ports import Accepted, Outcome, Rejected, TemplateMessage, Unknown
from notifier.providers import Capabilities, Sought
from notifier.twilio_errors import NOT_REACHED, handling
from notifier.whatsapp_errors import ErrorClass, Handling

CALLBACK_RETRIES = "#rc=3&rp=ct,rt,5xx"
"""Twilio reads the fragment itself: without it, a callback that meets a 503 is not repeated."""
_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_NUMBERS = re.compile(r"\+?\d{6,}")
_CHANNEL = "whatsapp:"
_LONGEST_DETAILS = 500
_PAGE = 50
_UNMAPPED = Handling(ErrorClass.OURS)


@dataclass(frozen=True, slots=True)
class Content:
    """A template as Twilio knows it: its ``HX…`` id, and which of our parameters fills each of its variables.

    Without ``variables`` they are named alike.
    """

    sid: str
    variables: Mapping[str, str] | None = None

    def is_filled_by(self, message: TemplateMessage) -> bool:
        return self.variables is None or set(self.variables.values()) <= {name for name, _ in message.parameters}


class TwilioProvider:
    """See :class:`notifier.providers.Provider`. Nothing is retried here: a second POST is a second message."""

    capabilities = Capabilities(look_up=True)

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        account_sid: str,
        number: str,
        contents: Mapping[tuple[str, str], Content],
        callback_url: str,
        deadline_seconds: float,
        connect_seconds: float = CONNECT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``number`` is ours, E.164 with ``+``; ``contents`` is by template and language."""
        self._client = client
        self._path = f"/2010-04-01/Accounts/{account_sid}/Messages.json"
        self._number = number
        self._contents = contents
        self._callback_url = callback_url
        self._deadline_seconds = deadline_seconds
        self._connect_seconds = connect_seconds
        self._monotonic = monotonic

    async def send(self, message: TemplateMessage, attempt_ref: str) -> Outcome:
        content = self._contents.get((message.template, message.language))
        if content is None or not content.is_filled_by(message):
            return Rejected("twilio_template_not_in_senders_file", _UNMAPPED)
        form = request_form(message, content, self._number, f"{self._callback_url}?ref={quote(attempt_ref, safe='')}")
        answer = await post_once(
            self._client,
            self._client.build_request("POST", self._path, data=form),
            not_reached=NOT_REACHED,
            deadline_seconds=self._deadline_seconds,
            connect_seconds=self._connect_seconds,
            monotonic=self._monotonic,
            word="twilio_",
        )
        return read_answer(answer) if isinstance(answer, httpx.Response) else answer

    async def look_up(self, sought: Sought) -> Sequence[str]:
        query = {"To": f"{_CHANNEL}{sought.to}", "From": f"{_CHANNEL}{self._number}", "PageSize": str(_PAGE)}
        try:
            async with asyncio.timeout(self._deadline_seconds):
                response = await self._client.get(self._path, params=query)
            body = response.json() if response.status_code == httpx.codes.OK else None
        except (httpx.HTTPError, TimeoutError, ValueError):
            return ()
        listed = body.get("messages") if isinstance(body, dict) else None
        return [item["sid"] for item in listed or () if isinstance(item, dict) and _fits(item, sought)]


def request_form(message: TemplateMessage, content: Content, number: str, callback: str) -> dict[str, str]:
    """A content template with its variables; the callback's address carries our reference."""
    texts = dict(message.parameters)
    named = content.variables
    variables = texts if named is None else {theirs: texts[ours] for theirs, ours in named.items()}
    return {
        "From": f"{_CHANNEL}{number}",
        "To": f"{_CHANNEL}{message.to}",
        "ContentSid": content.sid,
        "ContentVariables": json.dumps(variables, ensure_ascii=False),
        "StatusCallback": f"{callback}{CALLBACK_RETRIES}",
    }


def read_answer(response: httpx.Response) -> Outcome:
    """Accepted needs a sid, Rejected a code with a 4xx; everything else says nothing about the message."""
    try:
        body = response.json()
    except ValueError:
        return Unknown(f"unreadable_{response.status_code}")
    if not isinstance(body, dict):
        return Unknown(f"unreadable_{response.status_code}")
    code = body.get("code")
    if response.is_client_error and isinstance(code, int) and not isinstance(code, bool):
        said = _NUMBERS.sub("…", str(body.get("message") or ""))
        return Rejected(f"twilio_{code}", handling(code), code=code, details=said[:_LONGEST_DETAILS] or None)
    sid = body.get("sid")
    if response.is_success and isinstance(sid, str) and _SID.fullmatch(sid):
        return Accepted(sid)
    return Unknown(f"without_id_{response.status_code}")


def _fits(item: dict[str, Any], sought: Sought) -> bool:
    created = _moment(item.get("date_created"))
    return (
        isinstance(item.get("sid"), str)
        and _SID.fullmatch(item["sid"]) is not None
        and str(item.get("direction", "")).startswith("outbound")
        and item.get("to") == f"{_CHANNEL}{sought.to}"
        and created is not None
        and sought.since <= created <= sought.until
        and sought.says in str(item.get("body") or "")
    )


def _moment(written: object) -> datetime | None:
    try:
        moment = parsedate_to_datetime(str(written))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
