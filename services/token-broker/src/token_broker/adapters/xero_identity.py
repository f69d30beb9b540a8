"""Xero's token endpoint and list of connections; every fault becomes refused, unavailable or silent."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from token_broker.ports import (
    INVALID_GRANT,
    GrantRefused,
    IdentitySilent,
    IdentityUnavailable,
    NotSent,
    Organisation,
    TokenPair,
)

_TOKEN_PATH = "/connect/token"  # noqa: S105 - a path
_REVOCATION_PATH = "/connect/revocation"
_CONNECTIONS_PATH = "/connections"
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_TURNED_AWAY = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
_OUR_FAULT_SECONDS = 60.0
_DEFAULT_LIFETIME_SECONDS = 1800
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")
_LONGEST_ID = 200
_FIRST_BYTE = "http11.send_request_headers.started"
"""What httpcore tells its trace extension just before a request begins to leave; the connection stands by then."""
_DONE = frozenset({httpx.codes.OK, httpx.codes.NO_CONTENT})


def _always() -> bool:
    return True


class XeroIdentity:
    def __init__(
        self,
        identity: httpx.AsyncClient,
        api: httpx.AsyncClient,
        *,
        client_id: str,
        client_secret: SecretStr,
        redirect_uri: str,
        deadline_seconds: float,
    ) -> None:
        self._identity = identity
        self._api = api
        self._auth = httpx.BasicAuth(client_id, client_secret.get_secret_value())
        self._redirect_uri = redirect_uri
        self._deadline_seconds = deadline_seconds

    async def refresh(self, refresh_token: SecretStr, may_send: Callable[[], bool]) -> TokenPair:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token.get_secret_value()}
        return await self._ask_for_tokens(form, may_send)

    async def exchange(self, code: str) -> TokenPair:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_uri}
        return await self._ask_for_tokens(form, _always)

    async def organisations(self, access_token: SecretStr) -> Sequence[Organisation]:
        request = self._api.build_request("GET", _CONNECTIONS_PATH, headers=_bearer(access_token))
        entries = _json(await self._send(self._api, request))
        if not isinstance(entries, list):
            raise IdentitySilent("unreadable_answer")
        return [found for entry in entries if (found := _organisation(entry)) is not None]

    async def disconnect(self, access_token: SecretStr, connection_id: str) -> None:
        path = f"{_CONNECTIONS_PATH}/{quote(connection_id, safe='')}"
        request = self._api.build_request("DELETE", path, headers=_bearer(access_token))
        await self._send(self._api, request, accepted=_DONE | {httpx.codes.NOT_FOUND})

    async def revoke(self, refresh_token: SecretStr) -> None:
        form = {"token": refresh_token.get_secret_value()}
        await self._send(self._identity, self._form(_REVOCATION_PATH, form), self._auth, accepted=_DONE)

    async def _ask_for_tokens(self, form: Mapping[str, str], may_send: Callable[[], bool]) -> TokenPair:
        answer = _json(await self._send(self._identity, self._form(_TOKEN_PATH, form), self._auth, may_send))
        if not isinstance(answer, dict):
            raise IdentitySilent("unreadable_answer")
        return _token_pair(answer)

    def _form(self, path: str, form: Mapping[str, str]) -> httpx.Request:
        return self._identity.build_request("POST", path, data=dict(form), headers={"Accept": "application/json"})

    async def _send(
        self,
        client: httpx.AsyncClient,
        request: httpx.Request,
        auth: httpx.BasicAuth | None = None,
        may_send: Callable[[], bool] = _always,
        accepted: frozenset[int] = frozenset({httpx.codes.OK}),
    ) -> httpx.Response:
        departure = _Departure(may_send)
        request.extensions = {**request.extensions, "trace": departure}
        try:
            async with asyncio.timeout(self._deadline_seconds):
                answer = await client.send(request, auth=auth)
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            if isinstance(error, _NOT_SENT) or not departure.begun:
                raise IdentityUnavailable("xero_unreachable", type(error).__name__) from None
            raise IdentitySilent("xero_silent", type(error).__name__) from None
        if answer.status_code not in accepted:
            raise _failure(answer)
        return answer


class _Departure:
    """Watches a request leave: what has not begun to leave was not seen by Xero, whatever went wrong."""

    def __init__(self, may_send: Callable[[], bool]) -> None:
        self._may_send = may_send
        self.begun = False

    async def __call__(self, event: str, _: Mapping[str, Any]) -> None:
        if event != _FIRST_BYTE:
            return
        if not self._may_send():
            raise NotSent("too_late")
        self.begun = True


def _bearer(access_token: SecretStr) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token.get_secret_value()}", "Accept": "application/json"}


def _failure(answer: httpx.Response) -> GrantRefused | IdentityUnavailable | IdentitySilent:
    status = answer.status_code
    if status in _TURNED_AWAY:
        return IdentityUnavailable(f"http_{status}", retry_after=_retry_after(answer))
    if not httpx.codes.is_client_error(status) and not httpx.codes.is_redirect(status):
        # It may have failed after it had acted.
        return IdentitySilent(f"http_{status}")
    body = _json(answer)
    code = body.get("error") if isinstance(body, dict) else None
    if code == INVALID_GRANT:
        return GrantRefused(INVALID_GRANT)
    known = isinstance(code, str) and _ERROR_CODE.fullmatch(code)
    return IdentityUnavailable(str(code) if known else f"http_{status}", retry_after=_OUR_FAULT_SECONDS)


def _token_pair(answer: Mapping[str, Any]) -> TokenPair:
    access_token = _secret(answer, "access_token")
    if access_token is None:
        raise IdentitySilent("unreadable_answer")
    lifetime = answer.get("expires_in")
    scope = answer.get("scope")
    return TokenPair(
        access_token=access_token,
        refresh_token=_secret(answer, "refresh_token"),
        lifetime_seconds=lifetime if isinstance(lifetime, int | float) else _DEFAULT_LIFETIME_SECONDS,
        id_token=_secret(answer, "id_token"),
        scopes=frozenset(scope.split()) if isinstance(scope, str) else frozenset(),
    )


def _secret(answer: Mapping[str, Any], name: str) -> SecretStr | None:
    value = answer.get(name)
    return SecretStr(value) if isinstance(value, str) and value else None


def _organisation(entry: Any) -> Organisation | None:
    """None for a practice or anything else that has no invoices."""
    if not isinstance(entry, dict) or entry.get("tenantType") != "ORGANISATION":
        return None
    tenant_id, name, connection_id = (entry.get(each) for each in ("tenantId", "tenantName", "id"))
    if not isinstance(tenant_id, str) or not 0 < len(tenant_id) <= _LONGEST_ID:
        return None
    return Organisation(
        tenant_id,
        name if isinstance(name, str) else "",
        connection_id if isinstance(connection_id, str) else "",
    )


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _retry_after(answer: httpx.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None
