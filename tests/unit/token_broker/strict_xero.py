"""A strict double of Xero's identity service for tests: a refresh token used twice revokes its whole family."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt

SIGNING_KEY = "a signing key that is long enough for tests"
Reply = Callable[[httpx.Request], httpx.Response]


@dataclass
class Family:
    """The refresh tokens of one consent; the last one is good until it is used."""

    user: str
    good: str
    used: set[str] = field(default_factory=set)
    revoked: bool = False


class StrictXero:
    """Answers as Xero does, counts what happened, and can hold answers back or replace them."""

    def __init__(self) -> None:
        self.organisations: dict[str, list[tuple[str, str]]] = {}
        self.families: list[Family] = []
        self.lifetime = 1800.0
        self.opaque = False
        self.offline = True
        self.scope: str | None = None
        self.counts: Counter[str] = Counter()
        self.overlaps = 0
        self.replies: deque[Reply] = deque()
        self.connections_reply: Reply | None = None
        self.disconnect_reply: Reply | None = None
        self.hold: asyncio.Event | None = None
        self.hold_user: str | None = None
        self.asked = asyncio.Event()
        self._codes: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._under_way: set[str] = set()
        self._number = 0

    def code_for(self, user: str, *organisations: tuple[str, str]) -> str:
        """The code that a login of this user would bring; the user also keeps what was connected before."""
        known = self.organisations.setdefault(user, [])
        known.extend(each for each in organisations if each not in known)
        code = f"code-{self._next()}"
        self._codes[code] = user
        return code

    def revoke(self, user: str) -> None:
        for family in self.families:
            if family.user == user:
                family.revoked = True

    def family(self, user: str) -> Family:
        return [family for family in self.families if family.user == user][-1]

    def client(self, base_url: str = "https://xero.test") -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=base_url, transport=Wire(self._answer))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/connections"):
            return self._connections(request)
        if self.replies:
            self.counts["replaced"] += 1
            return self.replies.popleft()(request)
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        if not request.headers["authorization"].startswith("Basic "):
            return httpx.Response(401, json={"error": "invalid_client"})
        if request.url.path == "/connect/revocation":
            return self._revocation(form["token"])
        if form["grant_type"] == "authorization_code":
            return self._exchange(form["code"])
        return await self._refresh(form["refresh_token"])

    def _exchange(self, code: str) -> httpx.Response:
        user = self._codes.pop(code, None)
        if user is None:
            return _refusal()
        self.families.append(family := Family(user, self._token("refresh")))
        return httpx.Response(200, json=self._pair(family, id_token=True))

    async def _refresh(self, token: str) -> httpx.Response:
        family = next((each for each in self.families if token == each.good or token in each.used), None)
        if family is None or family.revoked:
            self.counts["refused"] += 1
            return _refusal()
        if token in family.used:
            self.counts["reuse"] += 1
            family.revoked = True
            return _refusal()
        self.overlaps += family.user in self._under_way
        self._under_way.add(family.user)
        family.used.add(token)
        family.good = self._token("refresh")
        self.counts["accepted"] += 1
        answer = httpx.Response(200, json=self._pair(family))
        self.asked.set()
        try:
            if self.hold is not None and self.hold_user in {None, family.user}:
                await self.hold.wait()
        finally:
            self._under_way.discard(family.user)
        return answer

    def _connections(self, request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            return (self.disconnect_reply or self.disconnect)(request)
        self.counts["listed"] += 1
        if self.connections_reply is not None:
            return self.connections_reply(request)
        return self.connections_list(request)

    def connections_list(self, request: httpx.Request) -> httpx.Response:
        user = self._owners[request.headers["authorization"].removeprefix("Bearer ")]
        rows = [
            {"id": f"connection-{tenant}", "tenantId": tenant, "tenantType": "ORGANISATION", "tenantName": name}
            for tenant, name in self.organisations[user]
        ]
        practice = {"id": "practice", "tenantId": "practice", "tenantType": "PRACTICE", "tenantName": "Books & Co"}
        return httpx.Response(200, json=[practice, *rows])

    def disconnect(self, request: httpx.Request) -> httpx.Response:
        user = self._owners[request.headers["authorization"].removeprefix("Bearer ")]
        tenant = request.url.path.removeprefix("/connections/connection-")
        listed = self.organisations[user]
        self.organisations[user] = [each for each in listed if each[0] != tenant]
        self.counts["disconnected"] += len(listed) - len(self.organisations[user])
        return httpx.Response(204 if len(listed) != len(self.organisations[user]) else 404)

    def _revocation(self, token: str) -> httpx.Response:
        family = next((each for each in self.families if token == each.good or token in each.used), None)
        if family is not None:
            self.counts["revoked"] += 1
            self.revoke(family.user)
            self.organisations[family.user] = []
        return httpx.Response(200)

    def _pair(self, family: Family, id_token: bool = False) -> dict[str, object]:
        claims: dict[str, object] = {"xero_userid": family.user, "jti": self._next()}
        access = self._token("access") if self.opaque else jwt.encode(claims, SIGNING_KEY)
        self._owners[access] = family.user
        pair: dict[str, object] = {"access_token": access, "expires_in": self.lifetime, "token_type": "Bearer"}
        if self.offline:
            pair["refresh_token"] = family.good
        if self.scope is not None:
            pair["scope"] = self.scope
        if id_token and not self.opaque:
            pair["id_token"] = jwt.encode({"sub": family.user}, SIGNING_KEY)
        return pair

    def _token(self, kind: str) -> str:
        return f"{kind}-token-{self._next()}"

    def _next(self) -> int:
        self._number += 1
        return self._number


class Wire(httpx.MockTransport):
    """Tells of a request's departure, as a real connection does."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        trace: Any = request.extensions.get("trace")
        if trace is not None:
            await trace("http11.send_request_headers.started", {})
        return await super().handle_async_request(request)


def _refusal() -> httpx.Response:
    return httpx.Response(400, json={"error": "invalid_grant"})


def failing(error: type[httpx.TransportError]) -> Reply:
    def reply(request: httpx.Request) -> httpx.Response:
        raise error("broken on purpose", request=request)

    return reply


def status(code: int, **headers: str) -> Reply:
    return lambda _: httpx.Response(code, headers=headers)


def body(code: int, content: str) -> Reply:
    return lambda _: httpx.Response(code, text=content)
