"""A double of Xero's token endpoint whose every step is taken by the test: a request arrives, commits, is answered."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from pydantic import SecretStr

from token_broker.ports import (
    INVALID_GRANT,
    Claim,
    GrantRefused,
    IdentitySilent,
    IdentityUnavailable,
    NotSent,
    Organisation,
    TokenPair,
)
from token_broker.timing import RefreshTiming
from unit.token_broker.machine.gates import Gate, Outcome
from unit.token_broker.machine.stepped_loop import VirtualTime


class Mode(Enum):
    """How the provider takes a refresh token that was used before.

    ``SIBLINGS`` and ``LAST_WINS`` are two readings of Xero's thirty minutes: of several pairs given for one token all
    stay good, or only the last. ``SHORT`` gives two minutes.
    """

    STRICT = "strict"
    SIBLINGS = "siblings"
    LAST_WINS = "last wins"
    SHORT = "short"

    @property
    def grace_seconds(self) -> float:
        return {"strict": 0.0, "short": 120.0}.get(self.value, 1800.0)


class Reply(Enum):
    REAL = "real"
    UNAVAILABLE = "503"
    LIMITED = "429"
    STRAY = "stray invalid_grant"
    SILENT = "connection lost"


RETRY_AFTER = 47.0


@dataclass(frozen=True)
class Issued:
    """A pair, and how it came to be."""

    number: int
    family: "Family"
    asked_micros: int
    expires_micros: int
    request: "Request | None"

    @property
    def access(self) -> str:
        return f"access-{self.number}"

    @property
    def refresh(self) -> str:
        return f"refresh-{self.number}"


@dataclass(eq=False)
class Family:
    """The refresh tokens of one consent."""

    user: str
    good: set[str] = field(default_factory=set)
    previous: str = ""
    previous_used_micros: int = 0
    revoked: bool = False
    reused: bool = False


@dataclass(eq=False)
class Request:
    """One use of a refresh token, from its first byte on. It goes its way whatever becomes of its sender."""

    token: str
    family: Family
    claim: Claim
    claimed_micros: int
    claim_until_micros: int
    departed_micros: int
    answer: "asyncio.Future[TokenPair]"
    result: "Issued | Reply | None" = None
    over: bool = False
    heard: "Reply | None" = None

    @property
    def harmless(self) -> bool:
        """Its sender was told that nothing was done."""
        return self.heard in {Reply.UNAVAILABLE, Reply.LIMITED, Reply.STRAY}


class Provider:
    def __init__(self, time: VirtualTime, mode: Mode, timing: RefreshTiming, blame: Callable[[str], None]) -> None:
        self.time, self.mode, self.timing, self.blame = time, mode, timing, blame
        self.lifetime = 1800.0
        self.families: list[Family] = []
        self.requests: list[Request] = []
        self.issued: dict[str, Issued] = {}
        self.organisations: dict[str, list[Organisation]] = {}
        self.counts: Counter[str] = Counter()

    def consent(self, user: str) -> Issued:
        family = Family(user)
        self.families.append(family)
        return self._issue(family, self.time.micros, None)

    def current(self, user: str) -> Family:
        return [family for family in self.families if family.user == user][-1]

    def travelling(self) -> list[Request]:
        return [request for request in self.requests if not request.over]

    def depart(
        self, token: str, claim: Claim, claimed: int, until: int, answer: "asyncio.Future[TokenPair]"
    ) -> Request:
        request = Request(token, self.issued[token].family, claim, claimed, until, self.time.micros, answer)
        self._judge_departure(request)
        self.requests.append(request)
        self.counts["sent"] += 1
        return request

    def _judge_departure(self, request: Request) -> None:
        now, deadline = self.time.micros, round(self.timing.deadline_seconds * 1e6)
        if request.claim_until_micros < now + deadline:
            self.blame("a request was sent that can outlive its claim")
        for other in self.requests:
            if other.family is request.family and not other.over and other.claim_until_micros >= now:
                self.blame("two requests of one family are under way at once")
            if other.token != request.token or other.harmless:
                continue
            if self.mode is Mode.STRICT:
                self.blame("a token was sent again although the first request's end is unknown")
            elif other.claim_until_micros >= now:
                self.blame("a token was sent again while the first request's claim stood")

    def commit(self, request: Request) -> None:
        """What the provider does with it, answered or not."""
        if request.over or request.result is not None:
            return
        family, now = request.family, self.time.micros
        late = now - request.departed_micros > (self.timing.deadline_seconds + self.timing.margin_seconds) * 1e6
        if late and self.mode is not Mode.STRICT:
            # A connection that its client closed long ago: what is left of the request goes nowhere.
            request.over = True
        elif family.revoked:
            request.result = Reply.STRAY
        elif request.token in family.good:
            family.previous, family.previous_used_micros = request.token, now
            family.good = set()
            request.result = self._issue(family, request.departed_micros, request)
            self.counts["accepted"] += 1
        elif request.token == family.previous and now - family.previous_used_micros <= self.mode.grace_seconds * 1e6:
            if self.mode is Mode.LAST_WINS:
                family.good = set()
            request.result = self._issue(family, request.departed_micros, request)
            self.counts["recovered"] += 1
        elif self.mode is Mode.LAST_WINS and request.token != family.previous and self._superseded(request.token):
            request.result = Reply.STRAY
            self.blame("a pair was kept that a later answer to the same token had replaced")
        else:
            family.revoked = family.reused = True
            request.result = Reply.STRAY
            if self.mode is Mode.STRICT or request.token != family.previous:
                self.blame("a refresh token was used again")

    def _superseded(self, token: str) -> bool:
        """A pair that a later answer to the same request token replaced; it was never used."""
        return not any(other.token == token and isinstance(other.result, Issued) for other in self.requests)

    def _issue(self, family: Family, asked_micros: int, request: Request | None) -> Issued:
        expires = self.time.micros + round(self.lifetime * 1e6)
        pair = Issued(len(self.issued) + 1, family, asked_micros, expires, request)
        family.good.add(pair.refresh)
        self.issued[pair.refresh] = self.issued[pair.access] = pair
        return pair

    def reply(self, request: Request, reply: Reply) -> None:
        """Answer; other than by the truth only as long as nothing was done."""
        if request.over:
            return
        if reply in {Reply.REAL, Reply.SILENT}:
            self.commit(request)
            if request.over:
                return
        elif request.result is None:
            request.result = reply
        request.over = True
        waiting = request.answer
        if waiting.done():
            return
        match request.result if reply is not Reply.SILENT else reply:
            case Issued() as pair:
                waiting.set_result(self.pair(pair))
                return
            case Reply.UNAVAILABLE:
                waiting.set_exception(IdentityUnavailable("http_503"))
            case Reply.LIMITED:
                waiting.set_exception(IdentityUnavailable("http_429", retry_after=RETRY_AFTER))
            case Reply.STRAY:
                waiting.set_exception(GrantRefused(INVALID_GRANT))
            case _:
                waiting.set_exception(IdentitySilent("xero_silent"))

    def pair(self, issued: Issued) -> TokenPair:
        return TokenPair(SecretStr(issued.access), SecretStr(issued.refresh), self.lifetime)

    def lose(self, request: Request) -> None:
        """The request before it arrives, or its answer: nobody will hear of it again."""
        request.over = True


class ProviderClient:
    """One replica's way to the provider, with the deadline and the departure of the real adapter."""

    def __init__(
        self,
        provider: Provider,
        gate: Gate,
        deadline_seconds: float,
        claim_of: Callable[[str], tuple[Claim, int, int]],
    ) -> None:
        self._provider = provider
        self._gate = gate
        self._deadline_seconds = deadline_seconds
        self._claim_of = claim_of

    async def refresh(self, refresh_token: SecretStr, may_send: Callable[[], bool]) -> TokenPair:
        token, request = refresh_token.get_secret_value(), None
        try:
            async with asyncio.timeout(self._deadline_seconds):
                if await self._gate("send") is Outcome.FAILED:
                    raise IdentityUnavailable("xero_unreachable")
                if not may_send():
                    raise NotSent("too_late")
                answer = asyncio.get_running_loop().create_future()
                request = self._provider.depart(token, *self._claim_of(token), answer)
                pair: TokenPair = await answer
        except TimeoutError:
            if request is None:
                raise IdentityUnavailable("xero_unreachable") from None
            request.heard = Reply.SILENT
            raise IdentitySilent("xero_silent") from None
        except GrantRefused:
            assert request is not None
            request.heard = Reply.STRAY
            raise
        except IdentityUnavailable as error:
            if request is not None:
                request.heard = Reply.LIMITED if error.retry_after else Reply.UNAVAILABLE
            raise
        except IdentitySilent:
            assert request is not None
            request.heard = Reply.SILENT
            raise
        request.heard = Reply.REAL
        return pair

    async def organisations(self, access_token: SecretStr) -> list[Organisation]:
        if await self._gate("list organisations") in {Outcome.FAILED, Outcome.UNHEARD}:
            raise IdentityUnavailable("xero_unreachable")
        family = self._provider.issued[access_token.get_secret_value()].family
        return list(self._provider.organisations[family.user])

    async def exchange(self, code: str) -> TokenPair:
        raise NotImplementedError

    async def disconnect(self, access_token: SecretStr, connection_id: str) -> None:
        raise NotImplementedError

    async def revoke(self, refresh_token: SecretStr) -> None:
        raise NotImplementedError
