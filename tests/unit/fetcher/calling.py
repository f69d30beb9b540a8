"""The real client of Xero's, and around it fakes of what it leans on and a transport that answers as told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from fetcher.adapters.calls import CALL_SECONDS, XeroCalls
from fetcher.adapters.permits import Limit, Permit, Remaining
from fetcher.adapters.tokens import AccessTokens
from fetcher.adapters.xero import Xero
from fetcher.purposes import Purpose
from fetcher.troubles import Troubles
from shared.clients.token_broker import fingerprint
from shared.contracts.tokens import TokenGranted, TokenRefused
from shared.errors import RetryableError
from unit.fetcher.samples import NOW, TENANT, SteppingClock, contact_json, guid, invoice_json

Answer = httpx.Response | Exception
PROBLEM: dict[str, Any] = {"Type": None, "Title": "Unauthorized", "Status": 401, "Instance": "x", "Extensions": {}}


class FakeBroker:
    """Hands out a new token whenever the last one was refused."""

    def __init__(self) -> None:
        self.serial = 1
        self.asked: list[str | None] = []
        self.refusal: TokenRefused | None = None
        self.forbidden: list[TokenRefused | None] = []
        """Answers to the questions after a 403, in order; None grants."""
        self.asked_forbidden = 0

    async def access(
        self, tenant_id: str, refused: str | None = None, forbidden: bool = False, timeout: float = 10.0
    ) -> TokenGranted | TokenRefused:
        self.asked.append(refused)
        if forbidden:
            self.asked_forbidden += 1
            if refusal := self.forbidden.pop(0):
                return refusal
        if self.refusal:
            return self.refusal
        if refused == fingerprint(SecretStr(f"token-{self.serial}")):
            self.serial += 1
        return TokenGranted(access_token=SecretStr(f"token-{self.serial}"), expires_at=NOW + timedelta(minutes=30))


class FakePermits:
    """Counts calls and keeps what it was told; a held tenant is refused like the real one's."""

    def __init__(self) -> None:
        self.granted = 0
        self.inside = 0
        self.lapsing = 0
        self.held: list[float] = []
        self.limits: list[Limit] = []
        self.purposes: list[Purpose] = []
        self.remaining: list[Remaining] = []
        self.returned: list[Permit] = []
        self.longest_hold = 70.0

    @asynccontextmanager
    async def permit(self, tenant_id: str, purpose: Purpose) -> AsyncIterator[Permit]:
        if self.held and self.held[-1] > self.longest_hold:
            raise RetryableError("tenant_held", retry_after=self.held[-1], counts=False)
        self.granted += 1
        self.inside += 1
        self.purposes.append(purpose)
        permit = Permit(tenant_id, f"call-{self.granted}", "epoch", 0.0)
        try:
            yield permit
        except TimeoutError:
            self.lapsing += 1
            raise
        finally:
            self.inside -= 1
            self.returned.append(permit)

    async def hold(self, tenant_id: str, seconds: float, limit: Limit) -> None:
        self.held.append(seconds)
        self.limits.append(limit)

    async def learn(self, permit: Permit, remaining: Remaining) -> None:
        assert self.inside
        self.remaining.append(remaining)


class Figures:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Purpose, str, int]] = []
        self.days_left: list[int | None] = []
        self.holds: list[str] = []

    def called(self, endpoint: str, purpose: Purpose, status: str, size: int, day_left: int | None) -> None:
        self.calls.append((endpoint, purpose, status, size))
        self.days_left.append(day_left)

    def held(self, limit: str) -> None:
        self.holds.append(limit)


class Rig:
    """The real client around a transport that answers what the test says, in order; the last answer repeats.

    An answer whose body is read as it comes is made anew for each call.
    """

    def __init__(self, *answers: Answer | Callable[[], Answer], call_seconds: float = CALL_SECONDS) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.broker, self.permits, self.clock = FakeBroker(), FakePermits(), SteppingClock()
        self.figures = Figures()
        self.troubles = Troubles(self._seconds, lambda: 0.0)
        self.sizes: list[int] = []
        http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer), base_url="https://xero.test")
        tokens = AccessTokens(self.broker, self.clock)
        self.calls = XeroCalls(
            http, tokens, self.permits, self.clock, self.figures, call_seconds=call_seconds, troubles=self.troubles
        )
        self.xero = Xero(self.calls, self.sizes.append, Purpose.EVENT)

    def _seconds(self) -> float:
        return self.clock.now.timestamp()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        assert self.permits.inside == 1
        self.requests.append(request)
        told = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        answer = told() if callable(told) else told
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def read(self) -> Any:
        return await self.xero.invoices(TENANT, lambda: [guid(1)])


def ok(**body: Any) -> httpx.Response:
    return httpx.Response(200, json={"DateTimeUTC": "/Date(1782205200000)/", **body})


def one_invoice() -> httpx.Response:
    return ok(Invoices=[invoice_json(1, Contact=contact_json(1))])


def limited(**headers: str) -> httpx.Response:
    return httpx.Response(429, headers={name.replace("_", "-"): value for name, value in headers.items()})


def forbidden() -> httpx.Response:
    return httpx.Response(403, json={**PROBLEM, "Status": 403, "Detail": "AuthenticationUnsuccessful"})


def refused(detail: str) -> httpx.Response:
    return httpx.Response(401, json={**PROBLEM, "Detail": detail})
