"""What the notifier makes of an organisation being connected or lost."""

from collections.abc import Callable
from datetime import datetime

from notifier.ports import Ledger
from shared.contracts.connections import ConnectionEstablishedV1, ConnectionLostV1


class NoteConnection:
    """A lost organisation's messages wait; they go on when it is connected again."""

    def __init__(self, ledger: Ledger, *, clock: Callable[[], datetime], wake: Callable[[], None]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._wake = wake

    async def established(self, event: ConnectionEstablishedV1) -> None:
        async with self._ledger.open(event.tenant_id, self._clock()) as book:
            await book.establish(event.connected_at)
        self._wake()

    async def lost(self, event: ConnectionLostV1) -> None:
        async with self._ledger.open(event.tenant_id, self._clock()) as book:
            await book.lose(event.lost_at)
