"""One authorised, permitted GET to Xero, and what each kind of refusal means."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import httpx
from pydantic import SecretStr

from fetcher.adapters.permits import Limit, Permit, Remaining
from fetcher.ports import Clock
from fetcher.purposes import Purpose
from shared.errors import PermanentError, RetryableError
from shared.telemetry.logging import get_logger

CALL_SECONDS = 30.0
"""For the whole call, from connecting to the last byte."""
REFUSED_QUESTION = "xero_refused_question"
_MOST_SENDS = 3
_HELD_TENANT_SECONDS = 300.0
_MINUTE_HOLD_SECONDS = 10.0
_HOLD_SECONDS = {Limit.DAY: 3600.0, Limit.CONCURRENT: 1.0}
_LONGEST_HOLD_SECONDS = 2 * 86400.0
_OF_THE_TRANSPORT = frozenset({"content-encoding", "content-length", "transfer-encoding"})
_log = get_logger(__name__)


@dataclass(frozen=True)
class Question:
    """A GET; ``endpoint`` names it in the figures. An answer of more than ``most_bytes`` is given up while it comes."""

    endpoint: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    most_bytes: int | None = None


@dataclass(frozen=True)
class Answer:
    """A JSON object whose fractions are Decimals; ``sent_at`` is when it was asked for."""

    body: Mapping[str, Any]
    sent_at: datetime


class Tokens(Protocol):
    async def access(self, tenant_id: str) -> SecretStr: ...
    async def replace(self, tenant_id: str, refused: SecretStr) -> SecretStr: ...
    async def check_connected(self, tenant_id: str) -> None: ...


class Permits(Protocol):
    def permit(self, tenant_id: str, purpose: Purpose) -> AbstractAsyncContextManager[Permit]: ...
    async def hold(self, tenant_id: str, seconds: float, limit: Limit) -> None: ...
    async def learn(self, permit: Permit, remaining: Remaining) -> None: ...


class CallFigures(Protocol):
    """What is told of every call and every held tenant."""

    def called(self, endpoint: str, purpose: Purpose, status: str, size: int, day_left: int | None) -> None:
        """``status`` is the HTTP status, or a word where there was none; ``size`` in bytes."""
        ...

    def held(self, limit: str) -> None: ...


class XeroCalls:
    """The only place that sends anything to Xero; every send has its own permit."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        tokens: Tokens,
        permits: Permits,
        clock: Clock,
        figures: CallFigures,
        *,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._http = http
        self._tokens = tokens
        self._permits = permits
        self._clock = clock
        self._figures = figures
        self._call_seconds = call_seconds

    async def get(self, tenant_id: str, ask: Callable[[], Question], purpose: Purpose = Purpose.EVENT) -> Answer | None:
        """Ask what ``ask`` says once the call may be made. None for "not found".

        Raises:
            RetryableError: no token, no permit, no answer, or one that says "not now".
            PermanentError: ``unknown_tenant``, or ``xero_refused_question`` with Xero's error number.
        """
        response, sent_at = await self.exchange(tenant_id, ask, purpose)
        return read_answer(response, sent_at)

    async def exchange(
        self, tenant_id: str, ask: Callable[[], Question], purpose: Purpose = Purpose.EVENT
    ) -> tuple[httpx.Response, datetime]:
        """The last answer, whatever it says, and when it was asked for.

        Raises as :meth:`get` does, but for what :func:`read_answer` makes of the answer.
        """
        question: Question | None = None
        refused: SecretStr | None = None
        for _ in range(_MOST_SENDS):
            if refused is None:
                token = await self._tokens.access(tenant_id)
            else:
                token = await self._tokens.replace(tenant_id, refused)
            try:
                async with self._permits.permit(tenant_id, purpose) as permit:
                    question = question or ask()
                    sent_at = self._clock()
                    response = await self._send(permit, token, question, purpose)
                    await self._obey(permit, response)
            except TimeoutError as error:
                raise RetryableError("xero_timeout") from error
            except httpx.HTTPError as error:
                raise RetryableError("xero_unreachable", type(error).__name__) from error
            if response.status_code == 429:
                continue
            if response.status_code == 401 and refused is None and not _lacks_scope(response):
                refused = token
                continue
            if response.status_code == 403:
                # Raises where the organisation was disconnected; else the hold below is all there is to do.
                await self._tokens.check_connected(tenant_id)
            return response, sent_at
        raise RetryableError("xero_rate_limited", retry_after=60, counts=False)

    async def _send(self, permit: Permit, token: SecretStr, question: Question, purpose: Purpose) -> httpx.Response:
        status, size, day_left = "failed", 0, None
        permit.endpoint = question.endpoint
        try:
            async with asyncio.timeout(self._call_seconds):
                request = self._http.build_request(
                    "GET",
                    question.path,
                    params=dict(question.params),
                    headers={
                        "Authorization": f"Bearer {token.get_secret_value()}",
                        "Xero-tenant-Id": permit.tenant_id,
                        "Accept": "application/json",
                        **question.headers,
                    },
                )
                response = await self._http.send(request, stream=True)
                try:
                    content = await _content(response, question.most_bytes)
                finally:
                    await response.aclose()
                    size = permit.received_bytes = response.num_bytes_downloaded
            status = str(response.status_code)
            day_left = Remaining.of(response.headers).day
            return content
        finally:
            self._figures.called(question.endpoint, purpose, status, size, day_left)

    async def _obey(self, permit: Permit, response: httpx.Response) -> None:
        """Hand on what the answer says of the limits, before the permit is given back."""
        if response.status_code == 429:
            limit = Limit.named(response.headers.get("X-Rate-Limit-Problem", ""))
            seconds = _hold_seconds(response.headers.get("Retry-After", "").strip(), limit)
            await self._permits.hold(permit.tenant_id, seconds, limit)
            self._tell(permit.tenant_id, seconds, limit)
        remaining = Remaining.of(response.headers)
        if remaining != Remaining():
            await self._permits.learn(permit, remaining)

    def _tell(self, tenant_id: str, seconds: float, limit: Limit) -> None:
        self._figures.held(limit)
        if limit is Limit.DAY:
            until = self._clock() + timedelta(seconds=seconds)
            _log.warning("tenant.parked", tenant_id=tenant_id, until=until.isoformat(), seconds=seconds)
        elif limit is Limit.APP:
            _log.warning("app.held", seconds=seconds)
        else:
            _log.warning("tenant.held", tenant_id=tenant_id, limit=limit, seconds=seconds)


def _hold_seconds(told: str, limit: Limit) -> float:
    """Xero's ``Retry-After``; where it is missing, a guess by the limit that was hit."""
    if told.isascii() and told.isdecimal():
        return min(max(float(told), 1.0), _LONGEST_HOLD_SECONDS)
    return _HOLD_SECONDS.get(limit, _MINUTE_HOLD_SECONDS)


def _lacks_scope(response: httpx.Response) -> bool:
    return response.status_code == 401 and "AuthorizationUnsuccessful" in response.text


async def _content(response: httpx.Response, most_bytes: int | None) -> httpx.Response:
    """The answer, read to its end."""
    if most_bytes is None:
        await response.aread()
        return response
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > most_bytes:
            raise PermanentError("xero_answer_too_large", f"more than {most_bytes} bytes")
    plain = {name: value for name, value in response.headers.items() if name not in _OF_THE_TRANSPORT}
    return httpx.Response(response.status_code, headers=plain, content=bytes(content))


def read_answer(response: httpx.Response, sent_at: datetime) -> Answer | None:
    """What the answer says; None for "not found". Raises what its refusal means."""
    match response.status_code:
        case 200:
            return Answer(_json(response), sent_at)
        case 304:
            return Answer({}, sent_at)
        case 400:
            raise _refused_question(response)
        case 401 if _lacks_scope(response):
            raise RetryableError("scope_missing", retry_after=_HELD_TENANT_SECONDS, counts=False)
        case 401:
            raise RetryableError("token_refused")
        case 403:
            raise RetryableError("forbidden", retry_after=_HELD_TENANT_SECONDS, counts=False)
        case 404:
            return None
        case status:
            raise RetryableError("xero_unavailable", f"status {status}")


def _refused_question(response: httpx.Response) -> Exception:
    try:
        number = _json(response).get("ErrorNumber")
    except RetryableError as error:
        return error
    return PermanentError(REFUSED_QUESTION, f"error {number}" if isinstance(number, int) else "")


def _json(response: httpx.Response) -> Mapping[str, Any]:
    if "application/json" not in response.headers.get("Content-Type", "").lower():
        raise RetryableError("xero_answer_unreadable", "not JSON")
    try:
        body = json.loads(response.content, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RetryableError("xero_answer_unreadable", "broken JSON") from error
    if not isinstance(body, dict):
        raise RetryableError("xero_answer_unreadable", "no object")
    return body


def _no_constant(name: str) -> Decimal:
    raise ValueError(name)
