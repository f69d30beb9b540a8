"""Sets the scene of a run: everything started behind proxies, organisations connected, everything stopped again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import httpx

from chaos.attacks.target import TWILIO_TOKEN
from chaos.attacks.twilio_forgeries import PUBLIC
from chaos.balancer import Balancer
from chaos.cluster import Cluster
from chaos.databases import Databases, Kind, databases
from chaos.forming import formed
from chaos.history import History
from chaos.links import Links, installation, proxies
from chaos.scene import Scene
from chaos.small_disk import small_disk
from chaos.until import NotInTime
from deploy.passwords import ADMINISTRATOR, load_passwords
from deploy.stack import Stack
from deploy.supervision import Supervisor
from sandbox.client import Sandbox


@asynccontextmanager
async def a_scene(
    folder: Path,
    history: History,
    seed: int,
    tenants: int,
    *,
    on_small_disk: bool = False,
    on_cluster: bool = False,
    apart: bool = False,
    database: Kind = "sqlite",
) -> AsyncIterator[Scene]:
    """Everything started, every link through a proxy, some organisations connected; stopped afterwards.

    ``apart``: each organisation is connected by a user of its own, so that each has its own grant.
    """
    with small_disk(folder / "data") if on_small_disk else nullcontext():
        async with (
            databases(database, folder) as kept,
            _scene(folder, history, seed, tenants, kept, on_cluster=on_cluster, apart=apart) as scene,
        ):
            yield scene


@asynccontextmanager
async def _scene(
    folder: Path, history: History, seed: int, tenants: int, kept: Databases, *, on_cluster: bool, apart: bool
) -> AsyncIterator[Scene]:
    with proxies(seed) as links:
        # So that the door has a route for Twilio, which is attacked.
        twilio = {"DUEBELL_TWILIO_AUTH_TOKENS": TWILIO_TOKEN, "DUEBELL_TWILIO_WEBHOOK_URL": PUBLIC}
        stack = installation(folder, links, {**kept.variables, **twilio})
        try:
            stack.up()
            password = load_passwords(stack.folder / "passwords.json", [ADMINISTRATOR])[ADMINISTRATOR]
            async with (
                _formed(stack, links) if on_cluster else nullcontext() as cluster,
                Sandbox(stack.url("sandbox")) as sandbox,
                httpx.AsyncClient(trust_env=False, timeout=20) as http,
                httpx.AsyncClient(
                    base_url=stack.management_url, auth=(ADMINISTRATOR, password), trust_env=False, timeout=20
                ) as management,
            ):
                supervisor = Supervisor(stack.folder, stack.logs)
                scene = Scene(stack, links, sandbox, http, management, history, supervisor, kept, cluster=cluster)
                if cluster is not None and not await scene.ready():
                    raise NotInTime("the services did not find their way into the cluster")
                await sandbox.reset(keep_settings=True)
                await sandbox.settings(
                    mode="strict", seed=seed, messages_per_second=0, auto_statuses=["sent", "delivered"]
                )
                names = [f"Organisation {number + 1}" for number in range(tenants)]
                scene.tenants += await asyncio.gather(
                    *(scene.organisation(name, f"{name}'s" if apart else None) for name in names)
                )
                yield scene
        finally:
            await asyncio.to_thread(stack.down)


@asynccontextmanager
async def _formed(stack: Stack, links: Links) -> AsyncIterator[Cluster]:
    async with formed(stack) as cluster, links.shared_out(Balancer([node.port for node in cluster.nodes])):
        yield cluster
