"""What the scheduler learns from others."""

from faststream.rabbit import RabbitRouter

from scheduler.ports import Pace, TimeZones
from shared.contracts import OrganisationReadV1, WebhookSilentV1
from shared.topology import queues


def build_router(zones: TimeZones, pace: Pace) -> RabbitRouter:
    router = RabbitRouter()

    @router.subscriber(queues.SCHEDULER_ORGANISATION_READ.subscription())
    async def on_organisation_read(event: OrganisationReadV1) -> None:
        """Remember the organisation's time zone."""
        await zones.remember(event.tenant_id, event.organisation.time_zone)

    @router.subscriber(queues.SCHEDULER_WEBHOOK_SILENT.subscription())
    async def on_webhook_silent(event: WebhookSilentV1) -> None:
        """Reconcile more often for as long as it holds."""
        await pace.quicken(event.until)

    return router
