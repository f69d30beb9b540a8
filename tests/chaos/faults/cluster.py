"""A cluster of three RabbitMQ nodes loses one of them, each in turn, the sight of one, or its majority."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from chaos.cluster import Cluster, Node
from chaos.faults.fault import Fault, Missed
from chaos.scene import Scene
from chaos.until import until
from shared.topology.queues import FETCHER_XERO_EVENT_RECEIVED

_DOWN_SECONDS = 5.0
_WHOLE_SECONDS = 120.0
_TICK_SECONDS = 90.0
"""Erlang takes a silent node for gone within 75 seconds where nothing else is set."""


@asynccontextmanager
async def one_killed(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """The leader of the queue that webhooks go to."""
    _, leader = await _leader(scene)
    await leader.kill()
    try:
        yield
    finally:
        leader.start()


@asynccontextmanager
async def each_killed(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """The next one goes when the cluster is whole again."""
    cluster, _ = await _leader(scene)
    for node in dice.sample(cluster.nodes, len(cluster.nodes)):
        await node.kill()
        await asyncio.sleep(_DOWN_SECONDS)
        node.start()
        await until(cluster.is_whole, _WHOLE_SECONDS, "a whole cluster")
    yield


@asynccontextmanager
async def one_held_still(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """The leader keeps its connections and says nothing any more."""
    _, leader = await _leader(scene)
    leader.hold()
    try:
        yield
    finally:
        leader.release()


@asynccontextmanager
async def one_cut_off(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """The leader sees its clients, and neither of the other two."""
    cluster, leader = await _leader(scene)
    await cluster.cut_off(leader)
    try:
        yield
    finally:
        await cluster.let_back(leader)


@asynccontextmanager
async def two_killed(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """What is left is no majority: it must take nothing, and the door must say so."""
    cluster, leader = await _leader(scene)
    gone: list[Node] = [leader, dice.choice(cluster.others(leader))]
    await asyncio.gather(*(node.kill() for node in gone))
    scene.history.add("majority", gone=True)
    try:
        yield
    finally:
        scene.history.add("majority", gone=False)
        for node in gone:
            node.start()


async def _leader(scene: Scene) -> tuple[Cluster, Node]:
    if scene.cluster is None:
        raise Missed("there is one node only")
    leader = await scene.cluster.leader(FETCHER_XERO_EVENT_RECEIVED.name)
    scene.history.add("leader", node=leader.program)
    # Else nobody would have a question for the token-broker.
    await scene.sandbox.expire_tokens()
    return scene.cluster, leader


FAULTS = [
    Fault("cluster-kill-node", one_killed, 15, kills=1, cluster=True),
    Fault("cluster-stop-node", one_held_still, _TICK_SECONDS, cluster=True),
    Fault("cluster-partition", one_cut_off, 45, cluster=True),
    Fault("cluster-lose-two", two_killed, 30, kills=2, cluster=True),
    Fault("cluster-kill-each", each_killed, kills=3, cluster=True),
]
