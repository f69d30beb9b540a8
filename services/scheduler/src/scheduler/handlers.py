"""What the scheduler learns from others."""

from faststream.rabbit import RabbitRouter

from scheduler.ports import TimeZones
from shared.contracts import OrganisationReadV1
from shared.topology import queues


def build_router(zones: TimeZones) -> RabbitRouter:
    router = RabbitRouter()

    @router.subscriber(queues.SCHEDULER_ORGANISATION_READ.subscription())
    async def on_organisation_read(event: OrganisationReadV1) -> None:
        """Remember the organisation's time zone."""
        await zones.remember(event.tenant_id, event.organisation.time_zone)

    return router
