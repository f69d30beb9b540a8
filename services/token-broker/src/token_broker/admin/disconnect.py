"""Disconnects one organisation by our own wish: at Xero first, then in the record."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

from shared.errors import DuebellError
from token_broker.admin.refusals import Affected, CommandRefused, Refusal
from token_broker.admin.revoke import EndGrant
from token_broker.fresh import with_fresh_token
from token_broker.ports import (
    DISCONNECTED_HERE,
    Connections,
    Figures,
    Grant,
    GrantRefused,
    Grants,
    Held,
    Identity,
    IdentitySilent,
    IdentityUnavailable,
    Organisation,
)
from token_broker.refresh import Refresher
from token_broker.timing import Pacing

GrantAfter = Literal["kept", "revoked", "unrevoked"]
"""Other organisations need it; none did, so it was revoked; none does, but it could not be revoked."""


@dataclass(frozen=True)
class Disconnected:
    """``was_listed``: whether Xero still had it. ``grant_trouble`` says why an unused grant stays."""

    tenant_id: str
    tenant_name: str
    was_listed: bool
    grant: GrantAfter
    grant_trouble: str = ""


class Disconnect:
    """The use case behind ``make disconnect``.

    A crash after Xero acted leaves an organisation that Xero no longer lists: the next look at the list finds it, and
    so does the same command run again.
    """

    def __init__(
        self,
        grants: Grants,
        connections: Connections,
        identity: Identity,
        refresher: Refresher,
        end_grant: EndGrant,
        figures: Figures,
        announce: Callable[[], Awaitable[None]],
        pacing: Pacing,
    ) -> None:
        self._grants = grants
        self._connections = connections
        self._identity = identity
        self._refresher = refresher
        self._end_grant = end_grant
        self._figures = figures
        self._announce = announce
        self._pacing = pacing

    async def __call__(self, tenant_id: str) -> Disconnected:
        """Raises:
        CommandRefused: nothing was changed in the record.
        RetryableError: the database did not answer; the command can be repeated.
        """
        held = await self._held(tenant_id)
        if not held.connected:
            raise CommandRefused(Refusal.ALREADY_LOST, f"It is not connected any more: {held.reason}.")
        grant = await self._with_fresh_token(held)
        was_listed = await self._disconnect(grant, tenant_id)
        await self._record(held)
        after, trouble = await self._end_if_unused(held.grant_id)
        return Disconnected(held.tenant_id, held.tenant_name, was_listed, after, trouble)

    async def _held(self, tenant_id: str) -> Held:
        grant = await self._grants.of_tenant(tenant_id)
        if grant is None:
            raise CommandRefused(Refusal.UNKNOWN_TENANT, "No organisation with this tenant id was ever connected here.")
        for each in await self._connections.held_by(grant.id):
            if each.tenant_id == tenant_id:
                return each
        raise CommandRefused(Refusal.CHANGED, "It is being connected by another user at this moment; run it again.")

    async def _with_fresh_token(self, held: Held) -> Grant:
        grant = await with_fresh_token(held.grant_id, self._grants, self._refresher, self._pacing.timing)
        if grant is not None and not grant.lost:
            return grant
        now = await self._held(held.tenant_id)
        if not now.connected:
            raise CommandRefused(Refusal.ALREADY_LOST, f"It was lost meanwhile: {now.reason}.")
        text = "Xero gives no access token now; nothing was changed. Try again in some minutes."
        raise CommandRefused(Refusal.XERO_UNAVAILABLE, text)

    async def _disconnect(self, grant: Grant, tenant_id: str) -> bool:
        """Whether there was something to end."""
        try:
            found = await self._listed(grant.access_token, tenant_id)
            if found is not None:
                await self._identity.disconnect(grant.access_token, found.connection_id)
        except (GrantRefused, IdentityUnavailable) as error:
            text = f"Xero did not act ({error.reason}); nothing was changed. Run it again."
            raise CommandRefused(Refusal.XERO_UNAVAILABLE, text) from None
        except IdentitySilent as error:
            text = f"Xero did not answer ({error.reason}); nothing was changed here. Run it again."
            raise CommandRefused(Refusal.XERO_SILENT, text) from None
        return found is not None

    async def _listed(self, access_token: SecretStr, tenant_id: str) -> Organisation | None:
        """Asked twice before it counts as gone: a stray short list would leave it connected at Xero."""
        found = _find(await self._identity.organisations(access_token), tenant_id)
        if found is None:
            await self._pacing.pause(self._pacing.timing.confirm_seconds)
            found = _find(await self._identity.organisations(access_token), tenant_id)
        if found is not None and not found.connection_id:
            raise IdentityUnavailable("connection_without_id")
        return found

    async def _record(self, held: Held) -> None:
        if await self._connections.lose(held, DISCONNECTED_HERE):
            self._figures.connection_changed(held.tenant_id, held.grant_id, DISCONNECTED_HERE)
            await self._announce()
        elif (await self._held(held.tenant_id)).connected:
            raise CommandRefused(Refusal.CHANGED, "It was connected anew at this moment; run it again.")

    async def _end_if_unused(self, grant_id: str) -> tuple[GrantAfter, str]:
        try:
            await self._end_grant(grant_id, _unless_used)
        except CommandRefused as refusal:
            if refusal.refusal is Refusal.STILL_USED:
                return "kept", ""
            if refusal.refusal is Refusal.ALREADY_REVOKED:
                return "revoked", ""
            return "unrevoked", refusal.text
        except DuebellError as error:
            return "unrevoked", error.reason
        return "revoked", ""


def _find(listed: Sequence[Organisation], tenant_id: str) -> Organisation | None:
    return next((each for each in listed if each.tenant_id == tenant_id), None)


def _unless_used(organisations: Sequence[Affected]) -> None:
    if organisations:
        raise CommandRefused(Refusal.STILL_USED, "Other organisations need the grant.")
