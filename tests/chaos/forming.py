"""Makes a cluster of three out of the one RabbitMQ node of an installation, and its queues anew on all three."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from chaos.cluster import Cluster, Node
from chaos.until import until
from deploy.files import private_folder, write_private
from deploy.passwords import ADMINISTRATOR, load_passwords
from deploy.ports import PortBook
from deploy.program import Program
from deploy.servers.broker import PORTS, VHOST, PrivateBroker
from deploy.stack import Stack
from deploy.supervision import Supervisor, read_json
from shared.topology.declare import declare

SIZE = 3
_FORMED_SECONDS = 180
_WHOLE_SECONDS = 60
_SETTINGS = "cluster_partition_handling = pause_minority\n"
"""As docs/cluster.md tells operators: what is cut off serves nobody, and comes back by itself."""


@asynccontextmanager
async def formed(stack: Stack) -> AsyncIterator[Cluster]:
    """Start two further nodes, which join the first; then declare the topology again, as queues do not grow by
    themselves. The services that run meanwhile get over it. The further nodes are stopped afterwards.

    Raises:
        NotInTime: the nodes did not find each other, or a queue has not a member on each.
    """
    launch = read_json(stack.folder / "programs" / "rabbitmq-1.json")
    first = Node("rabbitmq-1", Supervisor(stack.folder, stack.logs), launch)
    config = stack.folder / "rabbitmq" / "rabbitmq.conf"
    write_private(config, config.read_text(encoding="utf-8") + _SETTINGS)
    programs = [_further(stack, number, first) for number in range(2, SIZE + 1)]
    folder = private_folder(stack.folder / "nodes")
    # Tied to this process, as the stack's own is: nothing is left behind by a run that was killed.
    supervisor = Supervisor(folder, stack.logs / "nodes", tied=True)
    supervisor.configure(programs)
    try:
        yield await _form(stack, first, supervisor, programs)
    finally:
        await asyncio.to_thread(supervisor.shutdown)


async def _form(stack: Stack, first: Node, supervisor: Supervisor, programs: Sequence[Program]) -> Cluster:
    for program in programs:
        supervisor.start(program.name)
    others = [Node(program.name, supervisor, program.launch_file()) for program in programs]
    cluster = Cluster([first, *others])
    # The file is read at the next start only.
    await first.ctl("eval", "application:set_env(rabbit, cluster_partition_handling, pause_minority).")
    await first.ctl("await_online_nodes", str(SIZE), "-t", str(_FORMED_SECONDS), seconds=_FORMED_SECONDS + 20)
    await _declare_anew(stack)
    await until(cluster.is_whole, _WHOLE_SECONDS, "a cluster whose queues have all their members")
    return cluster


def _further(stack: Stack, number: int, first: Node) -> Program:
    """The files of another node, which knows the first one's cookie and port mapper, and its program."""
    folder = private_folder(stack.folder / f"rabbitmq-{number}")
    cookie = private_folder(folder / "home") / ".erlang.cookie"
    write_private(cookie, (stack.folder / "rabbitmq" / "home" / ".erlang.cookie").read_text(encoding="utf-8"))
    cookie.chmod(0o400)
    ports = PortBook(_known(folder, {"epmd": int(first.launch["environment"]["ERL_EPMD_PORT"])}))
    ports.assign(dict.fromkeys(PORTS), ["epmd"])
    broker = PrivateBroker(
        folder, Path(first.launch["argv"][0]), ports, load_passwords(stack.folder / "passwords.json", [ADMINISTRATOR])
    )
    _, program = broker.programs()
    config = folder / "rabbitmq.conf"
    peers = _peers([first.name, program.environment["RABBITMQ_NODENAME"]])
    write_private(config, config.read_text(encoding="utf-8") + _SETTINGS + peers)
    return replace(program, replica=number)


def _known(folder: Path, ports: dict[str, int]) -> Path:
    file = folder / "ports.json"
    file.write_text(json.dumps(ports), encoding="utf-8")
    return file


def _peers(names: Sequence[str]) -> str:
    backend = "cluster_formation.peer_discovery_backend = classic_config\n"
    return backend + "".join(
        f"cluster_formation.classic_config.nodes.{number} = {name}\n" for number, name in enumerate(names, start=1)
    )


async def _declare_anew(stack: Stack) -> None:
    password = load_passwords(stack.folder / "passwords.json", [ADMINISTRATOR])[ADMINISTRATOR]
    async with httpx.AsyncClient(
        base_url=stack.management_url, auth=(ADMINISTRATOR, password), trust_env=False, timeout=20
    ) as management:
        answer = await management.get(f"/api/queues/{VHOST}", params={"disable_stats": "true"})
        answer.raise_for_status()
        for row in answer.json():
            (await management.delete(f"/api/queues/{VHOST}/{row['name']}")).raise_for_status()
    await declare(stack.amqp_admin_url)
