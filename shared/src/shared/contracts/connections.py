"""What the token-broker says of a tenant's connection."""

from typing import ClassVar

from shared.contracts.base import Event, Identifier, UtcTime


class ConnectionEstablishedV1(Event):
    """An organisation was connected, or reconnected, at ``connected_at``."""

    key: ClassVar[str] = "connection.established.v1"

    tenant_id: Identifier
    tenant_name: str
    connected_at: UtcTime


class ConnectionLostV1(Event):
    """Nothing can be read for this tenant until somebody opens ``reconnect_url``."""

    key: ClassVar[str] = "connection.lost.v1"

    tenant_id: Identifier
    tenant_name: str
    reason: str
    reconnect_url: str
    lost_at: UtcTime
