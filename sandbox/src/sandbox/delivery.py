"""Posts a signed body to a webhook and says what came back."""

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

FIRST_WAITS = (0, 60, 120, 300, 600)
LATER_WAIT = 900


def retry_waits() -> Iterator[int]:
    """Seconds before each retry: at once, then ever less often, then every 15 minutes."""
    return itertools.chain(FIRST_WAITS, itertools.repeat(LATER_WAIT))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver did; `status` is None when nothing came back, and `error` then says how."""

    status: int | None
    milliseconds: float
    body: str = ""
    sets_cookie: bool = False
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the delivery counts as received."""
        return self.status is not None and 200 <= self.status < 300

    def as_json(self) -> dict[str, Any]:
        """For the journal and the admin API."""
        return {
            "status": self.status,
            "milliseconds": self.milliseconds,
            "body": self.body[:200],
            "sets_cookie": self.sets_cookie,
            "error": self.error,
        }


async def post(
    http: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
) -> Answer:
    """POST once, without following redirects and without keeping cookies."""
    patience = httpx.Timeout(timeout_seconds, pool=None)
    started = time.perf_counter()
    try:
        response = await http.post(url, content=body, headers=dict(headers), timeout=patience)
    except httpx.HTTPError as error:
        return Answer(None, _since(started), error=type(error).__name__)
    http.cookies.clear()
    return Answer(response.status_code, _since(started), response.text, "set-cookie" in response.headers)


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
