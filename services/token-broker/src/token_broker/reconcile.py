"""Compares our record of a grant's organisations with Xero's, where people disconnect without a word to us."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from shared.errors import DuebellError
from token_broker.flights import Flights, outcome_within
from token_broker.ports import DISCONNECTED, Connections, Figures, Grant, Held, Identity, Organisation
from token_broker.timing import Pacing

_NOT_AGAIN_SECONDS = 60.0
"""How long one look serves all who wonder: an organisation whose every call is forbidden must not cost one each."""
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True)
class Differences:
    """What has to change in the record; ``renamed`` with the new name."""

    gone: tuple[Held, ...] = ()
    back: tuple[Held, ...] = ()
    renamed: tuple[tuple[Held, str], ...] = ()


def differences(held: Sequence[Held], listed: Sequence[Organisation]) -> Differences:
    """What Xero lists against what we hold. Only what was found missing comes back by being listed again."""
    names = {organisation.tenant_id: organisation.name for organisation in listed}
    present = [each for each in held if each.tenant_id in names]
    return Differences(
        gone=tuple(each for each in held if each.connected and each.tenant_id not in names),
        back=tuple(each for each in present if not each.connected and each.reason == DISCONNECTED),
        renamed=tuple(
            (each, name)
            for each in present
            if each.connected and (name := names[each.tenant_id]) and name != each.tenant_name
        ),
    )


class Reconcile:
    """Looks at what Xero lists for a grant, and records what it finds."""

    def __init__(
        self,
        connections: Connections,
        identity: Identity,
        figures: Figures,
        announce: Callable[[], Awaitable[None]],
        pacing: Pacing,
    ) -> None:
        self._connections = connections
        self._identity = identity
        self._figures = figures
        self._announce = announce
        self._pacing = pacing
        self._flights: Flights[None] = Flights()
        self._looked_at: dict[str, float] = {}

    async def __call__(self, grant: Grant) -> None:
        """Look now, with the grant's access token.

        Raises:
            DuebellError: Xero or the database did not answer; nothing was changed.
        """
        # An organisation that was connected after this token was read is not for it to judge.
        held = [each for each in await self._connections.held_by(grant.id) if each.changed_at <= grant.read_at]
        found = differences(held, await self._identity.organisations(grant.access_token))
        gone = found.gone
        if gone:
            # A single empty list may be a stray; what it costs to believe one is every reminder of a customer.
            await self._pacing.pause(self._pacing.timing.confirm_seconds)
            again = differences(held, await self._identity.organisations(grant.access_token)).gone
            gone = tuple(each for each in gone if each in again)
        for each, name in found.renamed:
            await self._connections.rename(each, name)
        lost = [each for each in gone if await self._connections.lose(each, DISCONNECTED)]
        back = [each for each in found.back if await self._connections.restore(each)]
        for change, changed in (("lost", lost), ("restored", back)):
            for each in changed:
                self._figures.connection_changed(each.tenant_id, grant.id, change)
        if lost or back:
            await self._announce()

    async def recently(self, grant: Grant, patience_seconds: float) -> bool:
        """Look, unless this replica did within a minute; callers share one look.

        False when it takes too long, or Xero does not answer.
        """
        now = self._pacing.monotonic()
        looked_at = self._looked_at.get(grant.id)
        if looked_at is not None and now - looked_at < _NOT_AGAIN_SECONDS:
            return True
        flight = self._flights.join(grant.id, lambda: self._look(grant))
        return await outcome_within(flight, patience_seconds) and grant.id in self._looked_at

    async def _look(self, grant: Grant) -> None:
        self._looked_at.pop(grant.id, None)
        try:
            await self(grant)
        except DuebellError as error:
            self._figures.look_failed(grant.id, error.reason)
            return
        if len(self._looked_at) >= _MOST_REMEMBERED:
            self._looked_at.clear()
        self._looked_at[grant.id] = self._pacing.monotonic()
