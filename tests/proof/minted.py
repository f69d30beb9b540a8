"""Many grants at once: consented to at the sandbox, and stored as the token-broker would have stored them."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import sqlalchemy as sa
from pydantic import SecretStr

from proof.scene import TOKEN_KEYS, Scene
from token_broker.adapters.grant_store import lifetime, sealed_pair
from token_broker.claims import xero_user
from token_broker.keyring import KeyRing
from token_broker.ports import TokenPair
from token_broker.tables import ACTIVE, CONNECTED, connections, grants

_CLIENT = ("sandbox-client", "sandbox-secret")
_SCOPES = "openid offline_access accounting.invoices.read"
_AT_ONCE = 16


@dataclass(frozen=True)
class Minted:
    tenant_id: str
    grant_id: str
    pair: TokenPair


async def mint(scene: Scene, count: int) -> list[str]:
    """The tenants, each of a Xero user of its own."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> Minted:
        async with gate:
            return await _mint(scene, number)

    minted = await asyncio.gather(*(one(number) for number in range(count)))
    await _store(scene, minted)
    return [each.tenant_id for each in minted]


async def _mint(scene: Scene, number: int) -> Minted:
    tenant = str((await scene.sandbox.organisation(f"Minted {number}"))["tenant_id"])
    query = {
        "response_type": "code",
        "client_id": _CLIENT[0],
        "redirect_uri": scene.redirect_uri,
        "scope": _SCOPES,
        "state": "minted",
    }
    url = f"{scene.sandbox.base_url}/identity/connect/authorize?{urlencode(query)}"
    back = await scene.sandbox.consent(url, organisations=[tenant], user=f"minted-{number}")
    [code] = parse_qs(urlsplit(back).query)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": scene.redirect_uri}
    answer: dict[str, Any] = (
        await scene.http.post(f"{scene.sandbox.base_url}/connect/token", data=form, auth=_CLIENT)
    ).json()
    access, refresh = SecretStr(answer["access_token"]), SecretStr(answer["refresh_token"])
    user = xero_user(access, None)
    assert user is not None
    return Minted(tenant, user, TokenPair(access, refresh, answer["expires_in"]))


async def _store(scene: Scene, minted: list[Minted]) -> None:
    ring, never = KeyRing.parse(TOKEN_KEYS), datetime(9999, 1, 1, tzinfo=UTC)
    state = {"status": ACTIVE, "failures": 0, "refusals": 0, "look_at": never}
    async with scene.database.transaction() as work:
        told = {"connected_at": work.now, "changed_at": work.now, "announced_at": work.now}
        await work.connection.execute(
            sa.insert(grants),
            [
                {"id": each.grant_id, **sealed_pair(ring, each.grant_id, 1, each.pair), **lifetime(work.now, each.pair)}
                | state
                for each in minted
            ],
        )
        await work.connection.execute(
            sa.insert(connections),
            [
                {"tenant_id": each.tenant_id, "tenant_name": "Minted", "grant_id": each.grant_id}
                | {"status": CONNECTED, "reason": "", "revision": 1, **told}
                for each in minted
            ],
        )
