"""What came back from Xero: read to its end within bounds, and what it says or refuses."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx

from fetcher.faults import REFUSED_QUESTION, TOO_LARGE, UNAVAILABLE, UNREADABLE
from shared.errors import PermanentError, RetryableError

MOST_BYTES = 16 * 1024 * 1024
"""A thousand invoices without lines are two or three."""
HELD_TENANT_SECONDS = 300.0
_OF_THE_TRANSPORT = frozenset({"content-encoding", "content-length", "transfer-encoding"})
_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


@dataclass(frozen=True)
class Answer:
    """A JSON object whose fractions are Decimals; ``sent_at`` is when it was asked for.

    ``is_unmodified``: nothing has changed since then, and the body is empty.
    """

    body: Mapping[str, Any]
    sent_at: datetime
    is_unmodified: bool = False


class Content:
    """An answer's body as it comes: never more than ``most_bytes`` are unpacked, whatever little they came in."""

    def __init__(self, response: httpx.Response, most_bytes: int) -> None:
        self._response = response
        self._most_bytes = most_bytes
        self.received_bytes = 0

    async def read(self) -> httpx.Response:
        """The whole answer, unpacked. Raises RetryableError ``xero_answer_too_large`` or ``xero_answer_unreadable``."""
        coding = self._response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding in _WINDOW_BITS:
            content = await self._unpacked(zlib.decompressobj(_WINDOW_BITS[coding]))
        elif coding == "identity":
            content = await self._plain()
        else:
            raise RetryableError(UNREADABLE, "unknown coding")
        headers = {name: value for name, value in self._response.headers.items() if name not in _OF_THE_TRANSPORT}
        return httpx.Response(self._response.status_code, headers=headers, content=content)

    async def _plain(self) -> bytes:
        content = bytearray()
        # httpx's own reading would unpack a whole chunk at once, to a thousand times its size.
        async for chunk in self._response.stream:  # type: ignore[union-attr]  # an asynchronous client's is one
            self.received_bytes += len(chunk)
            content += chunk
            self._check(content)
        return bytes(content)

    async def _unpacked(self, unpacking: Any) -> bytes:
        content = bytearray()
        async for chunk in self._response.stream:  # type: ignore[union-attr]  # as above
            self.received_bytes += len(chunk)
            packed = chunk
            while packed:
                try:
                    content += unpacking.decompress(packed, self._most_bytes - len(content) + 1)
                except zlib.error as error:
                    raise RetryableError(UNREADABLE, "broken coding") from error
                self._check(content)
                packed = unpacking.unconsumed_tail
        if self.received_bytes and (not unpacking.eof or unpacking.unused_data):
            raise RetryableError(UNREADABLE, "cut coding")
        return bytes(content)

    def _check(self, content: bytearray) -> None:
        if len(content) > self._most_bytes:
            raise RetryableError(TOO_LARGE, f"more than {self._most_bytes} bytes")


def read_answer(response: httpx.Response, sent_at: datetime) -> Answer | None:
    """What the answer says; None for "not found". Raises what its refusal means."""
    match response.status_code:
        case 200:
            return Answer(_json(response), sent_at)
        case 304:
            return Answer({}, sent_at, is_unmodified=True)
        case 400:
            raise _refused_question(response)
        case 401 if lacks_scope(response):
            raise RetryableError("scope_missing", retry_after=HELD_TENANT_SECONDS, counts=False)
        case 401:
            raise RetryableError("token_refused")
        case 403:
            raise RetryableError("forbidden", retry_after=HELD_TENANT_SECONDS, counts=False)
        case 404:
            return None
        case status:
            raise RetryableError(UNAVAILABLE, f"status {status}")


def lacks_scope(response: httpx.Response) -> bool:
    return response.status_code == 401 and "AuthorizationUnsuccessful" in response.text


def is_json(response: httpx.Response) -> bool:
    return "application/json" in response.headers.get("Content-Type", "").lower()


def _refused_question(response: httpx.Response) -> Exception:
    try:
        number = _json(response).get("ErrorNumber")
    except RetryableError as error:
        return error
    return PermanentError(REFUSED_QUESTION, f"error {number}" if isinstance(number, int) else "")


def _json(response: httpx.Response) -> Mapping[str, Any]:
    if not is_json(response):
        raise RetryableError(UNREADABLE, "not JSON")
    try:
        body = json.loads(response.content, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RetryableError(UNREADABLE, "broken JSON") from error
    if not isinstance(body, dict):
        raise RetryableError(UNREADABLE, "no object")
    return body


def _no_constant(name: str) -> Decimal:
    raise ValueError(name)
