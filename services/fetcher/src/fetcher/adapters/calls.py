"""One authorised, permitted GET to Xero, and what each kind of refusal means."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import httpx
from pydantic import SecretStr

from fetcher.adapters.answers import (
    HELD_TENANT_SECONDS,
    MOST_BYTES,
    Answer,
    Content,
    is_json,
    lacks_scope,
    read_answer,
)
from fetcher.adapters.permits import Limit, Permit, Remaining
from fetcher.faults import TIMEOUT, UNAVAILABLE, UNREACHABLE, UNREADABLE
from fetcher.ports import Clock
from fetcher.purposes import Purpose
from fetcher.troubles import Troubles
from shared.errors import OutageError, RetryableError
from shared.telemetry.logging import get_logger

CALL_SECONDS = 30.0
"""For the whole call, from connecting to the last byte."""
_MOST_SENDS = 3
_MINUTE_HOLD_SECONDS = 10.0
_HOLD_SECONDS = {Limit.DAY: 3600.0, Limit.CONCURRENT: 1.0}
_LONGEST_HOLD_SECONDS = 2 * 86400.0
_AFTER_A_FAULT_SECONDS = 1.0
_AFTER_A_TIMEOUT_SECONDS = 10.0
_LONGEST_REST_SECONDS = 3600.0
_NO_CONNECTION_SECONDS = 5.0
_log = get_logger(__name__)


@dataclass(frozen=True)
class Question:
    """A GET; ``endpoint`` names it in the figures. An answer of more than ``most_bytes`` is given up while it comes.

    Where others can do without the answer, its refusal does not hold the tenant.
    """

    endpoint: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    most_bytes: int = MOST_BYTES
    holds_tenant: bool = True


class Tokens(Protocol):
    async def access(self, tenant_id: str) -> SecretStr: ...
    async def replace(self, tenant_id: str, refused: SecretStr) -> SecretStr: ...
    async def check_connected(self, tenant_id: str) -> None: ...
    def forget(self, tenant_id: str) -> None: ...


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
        troubles: Troubles | None = None,
    ) -> None:
        self._http = http
        self._tokens = tokens
        self._permits = permits
        self._clock = clock
        self._figures = figures
        self._call_seconds = call_seconds
        self._troubles = troubles or Troubles()

    async def get(self, tenant_id: str, ask: Callable[[], Question], purpose: Purpose = Purpose.EVENT) -> Answer | None:
        """Ask what ``ask`` says once the call may be made. None for "not found".

        Raises:
            RetryableError: no token, no permit, no answer, or one that says "not now"; OutageError where that goes on.
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
            began = 0.0
            try:
                async with self._permits.permit(tenant_id, purpose) as permit:
                    question = question or ask()
                    sent_at = self._clock()
                    with self._troubles.calling(tenant_id) as began:
                        response = await self._send(permit, token, question, purpose)
                    await self._obey(permit, response)
            except TimeoutError as error:
                raise await self._fault(tenant_id, question, began, TIMEOUT) from error
            except httpx.PoolTimeout as error:
                # Nothing was sent, and nothing is known of Xero.
                raise RetryableError("connections_taken", retry_after=_NO_CONNECTION_SECONDS, counts=False) from error
            except httpx.HTTPError as error:
                raise await self._fault(tenant_id, question, began, UNREACHABLE, type(error).__name__) from error
            if response.status_code >= 500:
                text, told = f"status {response.status_code}", response.headers.get("Retry-After", "")
                raise await self._fault(tenant_id, question, began, UNAVAILABLE, text, told)
            if response.status_code == 200 and question.holds_tenant and not is_json(response):
                raise await self._fault(tenant_id, question, began, UNREADABLE, "not JSON")
            self._troubles.answered(tenant_id)
            if response.status_code == 429:
                continue
            if response.status_code == 401 and refused is None and not lacks_scope(response):
                refused = token
                continue
            await self._look_after_consent(tenant_id, question, response)
            return response, sent_at
        raise RetryableError("xero_rate_limited", retry_after=60, counts=False)

    async def _look_after_consent(self, tenant_id: str, question: Question, response: httpx.Response) -> None:
        """Raises where the organisation was disconnected; until a person acts, others need not ask again."""
        if response.status_code == 403:
            await self._tokens.check_connected(tenant_id)
        elif lacks_scope(response):
            # One that is asked for anew knows of a consent that was given meanwhile.
            self._tokens.forget(tenant_id)
        else:
            return
        if question.holds_tenant:
            await self._permits.hold(tenant_id, HELD_TENANT_SECONDS, Limit.CONSENT)
            self._tell(tenant_id, HELD_TENANT_SECONDS, Limit.CONSENT)

    async def _fault(
        self, tenant_id: str, question: Question | None, began: float, reason: str, text: str = "", told: str = ""
    ) -> RetryableError:
        """Let the tenant be for a while, ever longer while nothing of it is answered."""
        if question is None or not question.holds_tenant:
            return RetryableError(reason, text)
        first_seconds = _AFTER_A_TIMEOUT_SECONDS if reason == TIMEOUT else _AFTER_A_FAULT_SECONDS
        fault = self._troubles.fault(tenant_id, began, first_seconds)
        seconds = max(fault.seconds, min(_seconds_told(told) or 0.0, _LONGEST_REST_SECONDS))
        await self._permits.hold(tenant_id, seconds, Limit.OUTAGE)
        self._tell(tenant_id, seconds, Limit.OUTAGE)
        if fault.repeated:
            return OutageError(reason, text, retry_after=seconds)
        return RetryableError(reason, text, retry_after=_seconds_told(told) and seconds)

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
                        "Accept-Encoding": "gzip",
                        **question.headers,
                    },
                )
                response = await self._http.send(request, stream=True)
                content = Content(response, question.most_bytes)
                try:
                    whole = await content.read()
                finally:
                    await response.aclose()
                    size = permit.received_bytes = content.received_bytes
            status = str(response.status_code)
            day_left = Remaining.of(response.headers).day
            return whole
        finally:
            self._figures.called(question.endpoint, purpose, status, size, day_left)

    async def _obey(self, permit: Permit, response: httpx.Response) -> None:
        """Hand on what the answer says of the limits, before the permit is given back."""
        if response.status_code == 429:
            limit = Limit.named(response.headers.get("X-Rate-Limit-Problem", ""))
            seconds = _hold_seconds(response.headers.get("Retry-After", ""), limit)
            await self._permits.hold(permit.tenant_id, seconds, limit)
            self._tell(permit.tenant_id, seconds, limit)
        remaining = Remaining.of(response.headers)
        if remaining != Remaining():
            # The answer is had: what it says of the limits can also be learnt from the next.
            with suppress(RetryableError):
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
    seconds = _seconds_told(told)
    if seconds is None:
        return _HOLD_SECONDS.get(limit, _MINUTE_HOLD_SECONDS)
    return min(max(seconds, 1.0), _LONGEST_HOLD_SECONDS)


def _seconds_told(told: str) -> float | None:
    text = told.strip()
    return float(text) if text.isascii() and text.isdecimal() else None
