"""Sets the scene of a run: everything started behind proxies, organisations connected, everything stopped again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import httpx

from chaos.balancer import Balancer
from chaos.cluster import Cluster
from chaos.forming import formed
from chaos.history import History
from chaos.links import BehindProxies, Links, proxies
from chaos.scene import Scene
from chaos.small_disk import small_disk
from chaos.until import NotInTime
from deploy.passwords import ADMINISTRATOR, load_passwords
from deploy.stack import Stack
from deploy.supervision import Supervisor
from sandbox.client import Sandbox

POLICY = """
version: 1
defaults:
  alerts: {issued: true, paid: true}
  contact_hours: {start: "00:00", end: "24:00", days: [mon, tue, wed, thu, fri, sat, sun], holidays: false}
  scan_at: "23:59"
  brake:
    hold_back_book: false
    usual_times: 0
    usual_floor: 1000000
    per_tenant_per_hour: 1000000
    per_installation_per_hour: 1000000
"""
"""Nothing is held and nothing waits for an hour: what is not sent at once is a finding."""


@asynccontextmanager
async def a_scene(
    folder: Path, history: History, seed: int, tenants: int, *, on_small_disk: bool = False, on_cluster: bool = False
) -> AsyncIterator[Scene]:
    """Everything started, every link through a proxy, some organisations connected; stopped afterwards."""
    with small_disk(folder / "data") if on_small_disk else nullcontext():
        async with _scene(folder, history, seed, tenants, on_cluster=on_cluster) as scene:
            yield scene


@asynccontextmanager
async def _scene(folder: Path, history: History, seed: int, tenants: int, *, on_cluster: bool) -> AsyncIterator[Scene]:
    with proxies(seed) as links:
        stack = _installation(folder, links)
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
                scene = Scene(stack, links, sandbox, http, management, history, supervisor, cluster=cluster)
                if cluster is not None and not await scene.ready():
                    raise NotInTime("the services did not find their way into the cluster")
                await sandbox.reset(keep_settings=True)
                await sandbox.settings(
                    mode="strict", seed=seed, messages_per_second=0, auto_statuses=["sent", "delivered"]
                )
                names = [f"Organisation {number + 1}" for number in range(tenants)]
                scene.tenants += await asyncio.gather(*(scene.organisation(name) for name in names))
                yield scene
        finally:
            await asyncio.to_thread(stack.down)


@asynccontextmanager
async def _formed(stack: Stack, links: Links) -> AsyncIterator[Cluster]:
    async with formed(stack) as cluster, links.shared_out(Balancer([node.port for node in cluster.nodes])):
        yield cluster


def _installation(folder: Path, links: Links) -> Stack:
    folder.mkdir(parents=True, exist_ok=True)
    policy = folder / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    return BehindProxies(folder, {"DUEBELL_POLICY_FILE": str(policy)}, links)
