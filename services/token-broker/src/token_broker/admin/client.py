"""Asks a running token-broker to carry out an operator's command."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from token_broker.admin.calls import Call, CallSigner
from token_broker.admin.disconnect import Disconnected
from token_broker.admin.overview import Shown
from token_broker.admin.refusals import Affected, CommandRefused, Refusal
from token_broker.admin.revoke import Revoked
from token_broker.reseal import Resealed

T = TypeVar("T")


@dataclass(frozen=True)
class Listed:
    connections: tuple[Shown, ...]


@dataclass(frozen=True)
class Moved:
    """What one call moved and left; ``first_key`` is the key that seals."""

    resealed: Resealed
    first_key: str


@dataclass(frozen=True)
class _Refused:
    error: Refusal
    text: str
    organisations: tuple[Affected, ...]


class Unreachable(Exception):  # noqa: N818 - states what was found
    """There is no token-broker there, it does not take our signature, or it does not answer as one."""


class AdminClient:
    """Every method raises CommandRefused with the token-broker's own words, or Unreachable with one line."""

    def __init__(self, http: httpx.AsyncClient, signer: CallSigner, clock: Callable[[], datetime]) -> None:
        self._http = http
        self._signer = signer
        self._clock = clock

    async def connections(self) -> tuple[Shown, ...]:
        return (await self._ask(Listed, "GET", "/admin/connections")).connections

    async def disconnect(self, tenant_id: str) -> Disconnected:
        return await self._ask(Disconnected, "POST", "/admin/disconnect", {"tenant_id": tenant_id})

    async def revoke(self, tenant_id: str, *, several: bool) -> Revoked:
        return await self._ask(Revoked, "POST", "/admin/revoke", {"tenant_id": tenant_id, "several": several})

    async def reseal(self, limit: int) -> Moved:
        return await self._ask(Moved, "POST", "/admin/keys/reseal", {"limit": limit})

    async def _ask(self, kind: type[T], method: str, path: str, asked: dict[str, Any] | None = None) -> T:
        request = self._http.build_request(method, path, json=asked)
        call = Call(method, request.url.raw_path.decode("ascii"), request.content)
        request.headers["Authorization"] = self._signer.authorization(call, self._clock())
        try:
            answer = await self._http.send(request)
        except httpx.TransportError as error:
            raise Unreachable(
                f"no answer from the token-broker at {self._http.base_url} ({type(error).__name__})"
            ) from None
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise Unreachable("the token-broker refused the call: is DUEBELL_ADMIN_SECRET the one it was started with?")
        try:
            if answer.is_success:
                return TypeAdapter(kind).validate_json(answer.content)
            refused = TypeAdapter(_Refused).validate_json(answer.content)
        except ValidationError:
            raise Unreachable(f"what answers at {self._http.base_url} is no token-broker of this version") from None
        raise CommandRefused(refused.error, refused.text, refused.organisations)
