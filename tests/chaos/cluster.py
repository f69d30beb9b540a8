"""Three RabbitMQ nodes of one cluster: killed, held still, cut off, and asked how they are."""

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any

from chaos.until import NotInTime, until
from deploy.servers.broker import VHOST
from deploy.supervision import Supervisor

_COMMAND_SECONDS = 60
_LOOK_SECONDS = 45
_DOWN_SECONDS = 30.0


@dataclass(frozen=True)
class Node:
    """``program`` is what ``supervisor`` keeps running, as the file ``launch`` says."""

    program: str
    supervisor: Supervisor
    launch: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Erlang's."""
        return str(self.launch["environment"]["RABBITMQ_NODENAME"])

    @property
    def port(self) -> int:
        return int(self.launch["environment"]["RABBITMQ_NODE_PORT"])

    @property
    def pid(self) -> int:
        """Of the process that runs now, 0 when there is none."""
        found = self.supervisor.processes().get(self.program)
        return found.pid if found else 0

    @property
    def state(self) -> str:
        return self.supervisor.processes()[self.program].state

    async def ctl(self, *arguments: str, seconds: float = _COMMAND_SECONDS) -> str:
        return await rabbitmqctl(self.launch, *arguments, seconds=seconds)

    async def kill(self) -> None:
        """SIGKILL; it stays down until :meth:`start`."""
        pid = self.pid
        # Held still, so that the supervisor's own SIGTERM, without which it would start another, is never acted upon.
        os.kill(pid, Signals.SIGSTOP)
        stopping = asyncio.create_task(asyncio.to_thread(self.supervisor.stop, [self.program]))
        await until(lambda: self.state in {"STOPPING", "STOPPED"}, _DOWN_SECONDS, f"the end of {self.program}")
        os.kill(pid, Signals.SIGKILL)
        await stopping

    def start(self) -> None:
        self.supervisor.start(self.program)

    def hold(self) -> None:
        os.kill(self.pid, Signals.SIGSTOP)

    def release(self) -> None:
        os.kill(self.pid, Signals.SIGCONT)


@dataclass(frozen=True)
class Queue:
    """One queue as the cluster sees it; ``leader`` is a node's name, empty when it has none."""

    name: str
    leader: str
    members: int
    online: int


class Cluster:
    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = tuple(nodes)

    async def queues(self) -> list[Queue]:
        """Every queue, asked at the first node that answers; a queue that is not replicated has one member."""
        for node in self.nodes:
            if node.pid and node.state == "RUNNING":
                try:
                    return queues_of(await node.ctl(*_ASKED, seconds=_LOOK_SECONDS))
                except NotInTime:
                    continue
        raise NotInTime("no node of the cluster answered")

    async def leader(self, queue: str) -> Node:
        """The node that leads the queue now."""
        name = next((row.leader for row in await self.queues() if row.name == queue), "")
        found = next((node for node in self.nodes if node.name == name), None)
        if found is None:
            raise NotInTime(f"{queue} has no leader")
        return found

    def others(self, node: Node) -> list[Node]:
        return [other for other in self.nodes if other is not node]

    async def is_whole(self) -> bool:
        """Whether every member of every queue is there again."""
        try:
            rows = await self.queues()
        except NotInTime:
            return False
        return bool(rows) and all(row.online == row.members for row in rows)

    async def cut_off(self, node: Node) -> None:
        """For the others it is gone, and they for it: another cookie for each of them, and no connection is left."""
        wrong = ", ".join(
            f"erlang:set_cookie('{other.name}', nobody), erlang:disconnect_node('{other.name}')"
            for other in self.others(node)
        )
        await node.ctl("eval", f"{wrong}.")

    async def let_back(self, node: Node) -> None:
        right = ", ".join(f"erlang:set_cookie('{other.name}', erlang:get_cookie())" for other in self.others(node))
        await node.ctl("eval", f"{right}.")


_ASKED = ("list_queues", "-p", VHOST, "name", "leader", "members", "online", "--formatter", "json")


def queues_of(printed: str) -> list[Queue]:
    """What ``rabbitmqctl list_queues`` prints; of a classic queue it knows no members."""
    return [
        Queue(
            row["name"], row.get("leader") or "", len(row.get("members") or ["itself"]), len(row.get("online") or [""])
        )
        for row in json.loads(printed)
    ]


async def rabbitmqctl(launch: Mapping[str, Any], *arguments: str, seconds: float = _COMMAND_SECONDS) -> str:
    """One administrator's command on the node of that launch file; its output.

    Raises:
        NotInTime: it failed, or took longer than ``seconds``.
    """
    # Only the node itself is not to read its input.
    own = {key: value for key, value in launch["environment"].items() if key != "RABBITMQ_ALLOW_INPUT"}
    # Beside the node's own script: Debian's in the path becomes another user, who has another cookie.
    command = str(Path(launch["argv"][0]).with_name("rabbitmqctl"))
    try:
        done = await asyncio.to_thread(
            subprocess.run,
            [command, "-q", "-n", own["RABBITMQ_NODENAME"], *arguments],
            env=own,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotInTime(f"rabbitmqctl {arguments[0]} took longer than {seconds:.0f} s") from None
    if done.returncode != 0:
        raise NotInTime(f"rabbitmqctl {arguments[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout
