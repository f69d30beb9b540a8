"""The two questions that other services may ask."""

from faststream.rabbit import RabbitRouter

from shared.contracts.tokens import ConnectionsList, ConnectionsListRequest, TokenAccessRequest
from shared.runtime.rpc import Replies, answer
from shared.topology import queues
from token_broker.handout import HandOut
from token_broker.ports import Connections


def build_router(hand_out: HandOut, connections: Connections, replies: Replies) -> RabbitRouter:
    router = RabbitRouter()

    async def list_connections(_: ConnectionsListRequest) -> ConnectionsList:
        return ConnectionsList(connections=tuple(await connections.connected()))

    answer(router, queues.TOKEN_BROKER_TOKEN_ACCESS, TokenAccessRequest, hand_out, replies)
    answer(router, queues.TOKEN_BROKER_CONNECTIONS_LIST, ConnectionsListRequest, list_connections, replies)
    return router
