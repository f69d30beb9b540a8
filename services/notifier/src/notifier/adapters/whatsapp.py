"""WhatsApp's Cloud API as a provider: one POST, its answer read strictly."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from notifier.adapters.one_post import post_once
from notifier.confirm_ports import TextMessage
from notifier.halts import CONNECT_SECONDS
from notifier.ports import Accepted, Outcome, Rejected, TemplateMessage, Unknown
from notifier.providers import Capabilities, Sought
from notifier.whatsapp_errors import NOT_REACHED, handling

_LONGEST_DETAILS = 500
_LONGEST_NUMBER = 15


class WhatsAppProvider:
    """See :class:`notifier.providers.Provider`. Nothing is retried here: a second POST is a second message."""

    capabilities = Capabilities(account_templates=True)

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        path: str,
        deadline_seconds: float,
        connect_seconds: float = CONNECT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``connect_seconds``: a request that has not begun to be written by then never is."""
        self._client = client
        self._path = path
        self._deadline_seconds = deadline_seconds
        self._connect_seconds = connect_seconds
        self._monotonic = monotonic

    async def send(self, message: TemplateMessage, attempt_ref: str) -> Outcome:
        return await self._post(request_body(message, attempt_ref))

    async def send_text(self, message: TextMessage, attempt_ref: str) -> Outcome:
        """See :class:`notifier.confirm_ports.SendsTexts`."""
        return await self._post(text_body(message, attempt_ref))

    async def _post(self, body: dict[str, Any]) -> Outcome:
        answer = await post_once(
            self._client,
            self._client.build_request("POST", self._path, json=body),
            not_reached=NOT_REACHED,
            deadline_seconds=self._deadline_seconds,
            connect_seconds=self._connect_seconds,
            monotonic=self._monotonic,
        )
        return read_answer(answer) if isinstance(answer, httpx.Response) else answer

    async def look_up(self, sought: Sought) -> Sequence[str]:  # noqa: ARG002 - Meta has nothing to look in
        return ()


def request_body(message: TemplateMessage, attempt_ref: str) -> dict[str, Any]:
    """A template message with named parameters."""
    parameters = [{"type": "text", "parameter_name": name, "text": text} for name, text in message.parameters]
    template = {
        "name": message.template,
        "language": {"code": message.language},
        "components": [{"type": "body", "parameters": parameters}],
    }
    return {**_envelope(message.to, attempt_ref), "type": "template", "template": template}


def text_body(message: TextMessage, attempt_ref: str) -> dict[str, Any]:
    """Free text; no link in it is looked up."""
    text = {"body": message.text, "preview_url": False}
    return {**_envelope(message.to, attempt_ref), "type": "text", "text": text}


def _envelope(to: str, attempt_ref: str) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": to,
        "biz_opaque_callback_data": attempt_ref,
    }


def read_answer(response: httpx.Response) -> Outcome:
    """Accepted needs an id, Rejected a Graph error; everything else says nothing about the message."""
    try:
        body = response.json()
    except ValueError:
        return Unknown(f"unreadable_{response.status_code}")
    if not isinstance(body, dict):
        return Unknown(f"unreadable_{response.status_code}")
    error = body.get("error")
    if isinstance(error, dict) and isinstance(error.get("code"), int):
        return _rejected(error)
    first = _first(body.get("messages"))
    if response.status_code == httpx.codes.OK and isinstance(first.get("id"), str) and first["id"]:
        held = first.get("message_status") == "held_for_quality_assessment"
        return Accepted(first["id"], held, _e164(_first(body.get("contacts")).get("wa_id")))
    return Unknown(f"without_id_{response.status_code}")


def _rejected(error: dict[str, Any]) -> Rejected:
    code = int(error["code"])
    data = error.get("error_data")
    said = (data.get("details") if isinstance(data, dict) else None) or error.get("message")
    details = f"{error.get('fbtrace_id') or ''} {said or ''}".strip()
    return Rejected(f"whatsapp_{code}", handling(code), code=code, details=details[:_LONGEST_DETAILS] or None)


def _e164(wa_id: object) -> str | None:
    """WhatsApp writes numbers without the ``+``; anything else is no number."""
    digits = str(wa_id or "").removeprefix("+")
    return f"+{digits}" if digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_NUMBER else None


def _first(items: object) -> dict[str, Any]:
    first = items[0] if isinstance(items, list) and items else None
    return first if isinstance(first, dict) else {}
