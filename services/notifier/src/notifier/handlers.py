"""The notifier's subscribers: each hands its event to a use case, which commits what changed and what is to be told."""

from collections.abc import Callable, Sequence

from faststream.rabbit import RabbitRouter

from notifier.connections import NoteConnection
from notifier.intake import Arrival
from notifier.learn import Learn
from notifier.telemetry import SenderLog
from notifier.template_watch import WatchAccounts
from shared.contracts.connections import ConnectionEstablishedV1, ConnectionLostV1
from shared.contracts.invoices import InvoiceEnrichedV1
from shared.contracts.messages import MessageChangedV1
from shared.contracts.whatsapp import WhatsAppTemplateChangedV1, WhatsAppUpdateReceivedV1
from shared.runtime.group_commit import GroupCommit
from shared.telemetry.correlation import correlation_id
from shared.topology import queues


def build_router(
    take_in: GroupCommit[Arrival, Sequence[MessageChangedV1]],
    learn: Learn,
    connection: NoteConnection,
    templates: WatchAccounts,
    log: SenderLog,
    told: Callable[[], None],
) -> RabbitRouter:
    """``told`` says that the outbox holds something new."""
    router = RabbitRouter()

    def note(changes: Sequence[MessageChangedV1]) -> None:
        for change in changes:
            log.changed(change)
        if changes:
            told()

    @router.subscriber(queues.NOTIFIER_INVOICE_ENRICHED.subscription())
    async def on_invoice_enriched(event: InvoiceEnrichedV1) -> None:
        """Decide what is to be said of the invoice."""
        note(await take_in(Arrival(event, correlation_id())))

    @router.subscriber(queues.NOTIFIER_WHATSAPP_UPDATE_RECEIVED.subscription())
    async def on_whatsapp_update_received(event: WhatsAppUpdateReceivedV1) -> None:
        """Learn what became of a message, or what a person wants."""
        note(await learn(event))

    @router.subscriber(queues.NOTIFIER_WHATSAPP_TEMPLATE_CHANGED.subscription())
    async def on_whatsapp_template_changed(event: WhatsAppTemplateChangedV1) -> None:
        """Learn whether a template may still be used."""
        await templates(event)

    @router.subscriber(queues.NOTIFIER_CONNECTION_ESTABLISHED.subscription())
    async def on_connection_established(event: ConnectionEstablishedV1) -> None:
        """Remember since when the organisation is connected."""
        await connection.established(event)

    @router.subscriber(queues.NOTIFIER_CONNECTION_LOST.subscription())
    async def on_connection_lost(event: ConnectionLostV1) -> None:
        """Let the organisation's messages wait."""
        await connection.lost(event)

    return router
