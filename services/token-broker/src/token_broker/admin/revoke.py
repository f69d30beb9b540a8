"""Ends a whole grant by our own wish: at Xero first, then in the record, so that nothing is forgotten too early."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from token_broker.admin.refusals import Affected, CommandRefused, Refusal
from token_broker.ports import (
    REVOKED_HERE,
    Claim,
    Connections,
    Figures,
    Grant,
    GrantRefused,
    Grants,
    Held,
    Identity,
    IdentitySilent,
    IdentityUnavailable,
)
from token_broker.timing import Pacing

MayEnd = Callable[[Sequence[Affected]], None]
"""Raises CommandRefused when a grant with these connected organisations is not to be ended."""


@dataclass(frozen=True)
class Revoked:
    """The organisations that were connected until then."""

    organisations: tuple[Affected, ...]


class EndGrant:
    """Holds the grant's claim meanwhile, as a refresh does: no replica can use the token that is being revoked."""

    def __init__(
        self,
        grants: Grants,
        connections: Connections,
        identity: Identity,
        figures: Figures,
        announce: Callable[[], Awaitable[None]],
        *,
        pacing: Pacing,
        new_owner: Callable[[], str],
    ) -> None:
        self._grants = grants
        self._connections = connections
        self._identity = identity
        self._figures = figures
        self._announce = announce
        self._pacing = pacing
        self._new_owner = new_owner

    async def __call__(self, grant_id: str, may_end: MayEnd) -> Revoked:
        """Raises:
        CommandRefused: what ``may_end`` says; or the grant is lost, busy, or Xero did not act or answer.
        RetryableError: the database did not answer; Xero may have acted, and the command can be repeated.
        """
        timing = self._pacing.timing
        until = self._pacing.monotonic() + timing.patience_seconds
        while True:
            grant = await self._grants.read(grant_id)
            if grant is None or grant.lost:
                raise CommandRefused(Refusal.ALREADY_REVOKED, "The grant is lost already; nothing of it is kept.")
            may_end(await self._connected(grant_id))
            claim = await self._grants.claim(grant, self._new_owner(), timing.claim_seconds)
            if claim is not None:
                ended = await self._end(claim, may_end)
                if ended is not None:
                    return ended
                # Xero has ended all that this user granted, whatever joined meanwhile: now the record has to follow.
                may_end = _without_asking
            if self._pacing.monotonic() + timing.poll_seconds > until:
                raise CommandRefused(Refusal.BUSY, _busy(grant))
            await self._pacing.pause(timing.poll_seconds)

    async def _end(self, claim: Claim, may_end: MayEnd) -> Revoked | None:
        """None when the claim was lost meanwhile, by a consent or by taking too long."""
        try:
            connected = await self._connected(claim.grant_id)
            may_end(connected)
            await self._revoke(claim)
        except CommandRefused:
            await self._grants.put_off(claim, 0, failures=claim.failures, refusals=claim.refusals)
            raise
        if not await self._grants.lose(claim, REVOKED_HERE):
            return None
        self._figures.grant_lost(claim.grant_id, REVOKED_HERE)
        await self._announce()
        return Revoked(connected)

    async def _revoke(self, claim: Claim) -> None:
        try:
            await self._identity.revoke(claim.refresh_token)
        except GrantRefused:
            # A token that Xero no longer takes has nothing left to revoke.
            return
        except IdentityUnavailable as error:
            text = f"Xero did not act ({error.reason}); nothing was changed. Run it again."
            raise CommandRefused(Refusal.XERO_UNAVAILABLE, text) from None
        except IdentitySilent as error:
            text = f"Xero did not answer ({error.reason}); whether it revoked the grant is unknown. Run it again."
            raise CommandRefused(Refusal.XERO_SILENT, text) from None

    async def _connected(self, grant_id: str) -> tuple[Affected, ...]:
        held: Sequence[Held] = await self._connections.held_by(grant_id)
        return tuple(Affected(each.tenant_id, each.tenant_name) for each in held if each.connected)


class Revoke:
    """The use case behind ``make revoke``: everything that the user behind an organisation granted."""

    def __init__(self, grants: Grants, end_grant: EndGrant) -> None:
        self._grants = grants
        self._end_grant = end_grant

    async def __call__(self, tenant_id: str, *, several: bool) -> Revoked:
        """``several``: also when more than one organisation is connected through the grant.

        Raises:
            CommandRefused: nothing was changed in the record.
        """
        grant = await self._grants.of_tenant(tenant_id)
        if grant is None:
            raise CommandRefused(Refusal.UNKNOWN_TENANT, "No organisation with this tenant id was ever connected here.")

        def may_end(organisations: Sequence[Affected]) -> None:
            if len(organisations) > 1 and not several:
                text = f"This would end {len(organisations)} organisations; say --yes if that is meant."
                raise CommandRefused(Refusal.SEVERAL, text, organisations)

        return await self._end_grant(grant.id, may_end)


def _without_asking(_: Sequence[Affected]) -> None:
    return


def _busy(grant: Grant) -> str:
    if grant.not_before is None or grant.not_before <= grant.read_at:
        return "The grant is being refreshed; try again in a minute."
    seconds = (grant.not_before - grant.read_at).total_seconds()
    return f"Xero asked for a pause; try again in {seconds:.0f} s."
