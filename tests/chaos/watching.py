"""Copies the sandbox's journal into the history, and knows which accepted events have not come to an end yet."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import httpx

from chaos.databases import UNREADABLE
from chaos.history import Record
from chaos.ledger import export
from chaos.log_lines import leaks, tail_of
from chaos.outcomes import End, outcome_of
from chaos.scene import Scene
from chaos.seen import Input, see, see_ledger
from deploy.services import NAMES
from deploy.supervision import Supervised

_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|poison-\d+")
_KEPT = ("status", "tenant", "rule", "grant", "refresh_token", "token", "template", "code", "fault", "rows", "items")
_KINDS = frozenset(
    {"xero.api", "xero.token", "xero.breach", "whatsapp.message", "whatsapp.refused", "whatsapp.webhook"}
)
_AT_REST = frozenset({End.SENT, End.SUPPRESSED, End.PARKED, End.UNKNOWN})
_LOOK_AGAIN = 0.8


class Watcher:
    """Follows one scene; ``records`` is what of the history decides about ends."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._seq = 0
        self._skipped = 0
        self._pids: dict[str, int] = {}
        self._looking = asyncio.Lock()
        self._looked_at = 0.0
        self._open: list[float] = []
        self._numbers: set[str] = set()

    async def follow(self) -> None:
        """Once a second, until cancelled."""
        while True:
            await self.copy()
            await self._note_processes()
            await asyncio.sleep(1)

    async def _note_processes(self) -> None:
        """Whoever runs in the place of another: one line for each process."""
        for name, process in (await asyncio.to_thread(self._processes)).items():
            if process.pid and self._pids.get(name) != process.pid:
                self._pids[name] = process.pid
                self._scene.history.add("process", name=name, pid=process.pid)

    def _processes(self) -> dict[str, Supervised]:
        return {**self._scene.supervisor.processes(), **self._scene.databases.processes()}

    async def copy(self) -> None:
        """What the sandbox has written since the last time."""
        with suppress(httpx.TransportError):
            entries = await self._scene.sandbox.journal(since=self._seq)
            for entry in entries:
                self._seq = max(self._seq, entry["seq"])
                if "to" in entry:
                    self._numbers.add(tail_of(str(entry["to"])))
                if entry["kind"] not in _KINDS:
                    self._skipped += 1
                    continue
                at, row = trimmed(entry)
                if entry["kind"] == "whatsapp.message":
                    row["to"] = self._scene.masked(str(entry["to"]))
                    row["tenant"] = self._tenant(entry["parameters"])
                self._scene.history.add("journal", at=at, skipped=self._skipped, **row)
                self._skipped = 0

    def _tenant(self, parameters: Mapping[str, Any]) -> str | None:
        """Whose name a message shows: nobody's that there is, when it shows another one."""
        name = parameters.get("organisation_name")
        return None if name is None else self._scene.names.get(name, "nobody")

    async def left(self, records: Sequence[Record], until: float) -> int:
        """How many of the events accepted before ``until`` have no end yet; all of them when nobody can tell.

        Many may ask at once: what was seen since ``until`` and within the last second is not looked at again.
        """
        async with self._looking:
            now = self._scene.history.now()
            if self._looked_at < until or now - self._looked_at > _LOOK_AGAIN:
                self._looked_at, self._open = now, await self._open_ones(records)
            return sum(accepted_at <= until for accepted_at in self._open)

    async def _open_ones(self, records: Sequence[Record]) -> list[float]:
        """When those were accepted that have no end yet."""
        seen = see(records)
        open_ones = [event for event in seen.accepted if outcome_of(event, seen).end not in _AT_REST]
        if not open_ones:
            return []
        try:
            rows = await asyncio.to_thread(
                lambda: list(export(self._scene.databases, {event.invoice for event in open_ones}))
            )
        except UNREADABLE:
            return _accepted_at(open_ones)
        see_ledger(seen, rows)
        return _accepted_at(event for event in open_ones if outcome_of(event, seen).end not in _AT_REST)

    async def conclude(self) -> None:
        """Write down what is left at the end: the ledger, dead letters, what waits, how full the queues are, and how
        many log lines show a number.
        """
        await self.copy()
        history = self._scene.history
        await self.replicas()
        for log, event, lines in await asyncio.to_thread(
            lambda: list(leaks(self._scene.stack.logs, NAMES, self._numbers))
        ):
            history.add("leak", log=log, event=event, lines=lines)
        for row in await asyncio.to_thread(lambda: list(export(self._scene.databases))):
            history.add(row.pop("what"), **row)
        for queue in sorted(row["name"] for row in await self._scene.queues()):
            messages = await self._scene.messages_in(queue)
            for message in messages:
                ids = sorted(set(_IDS.findall(message["payload"])))
                headers = message["properties"].get("headers", {})
                what = "dead" if queue.endswith(".dead") else "waiting"
                about = told_of(headers)
                history.add(what, queue=queue, ids=ids, **about)
            if not queue.endswith(".dead") and not queue.startswith("duebell.delay"):
                history.add("queue", name=queue, messages=len(messages))

    async def replicas(self) -> None:
        """Write down on how many nodes of a cluster each queue is."""
        cluster = self._scene.cluster
        if cluster is None:
            return
        for row in await cluster.queues():
            self._scene.history.add("replicas", queue=row.name, members=row.members, of=len(cluster.nodes))


def told_of(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Why a message is where it is, whence it came and how many attempts it took; RabbitMQ's own word is the last."""
    deaths = headers.get("x-death") or [{}]
    return {
        "reason": headers.get("x-reason") or deaths[0].get("reason") or "unknown",
        "source": headers.get("x-source-queue") or deaths[0].get("queue"),
        "attempts": headers.get("x-attempt"),
    }


def _accepted_at(events: Iterable[Input]) -> list[float]:
    return [event.accepted_at for event in events if event.accepted_at is not None]


def trimmed(entry: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """When it happened, and what of a journal entry a check needs: no numbers, no names, no texts."""
    row = {key: entry[key] for key in _KEPT if entry.get(key) is not None}
    row |= {"kind": entry["kind"], "seq": entry["seq"], "status": entry.get("status")}
    if entry["kind"] == "whatsapp.message":
        row["number"] = entry["parameters"].get("invoice_number")
        row["reference"] = entry.get("biz_opaque_callback_data")
        row["amount"] = entry["parameters"].get("amount")
    if "milliseconds" in entry:
        row["ms"] = entry["milliseconds"]
    if entry["kind"] == "xero.api":
        row["path"] = entry["path"].removeprefix("/api.xro/2.0")
    return datetime.fromisoformat(entry["time"]).timestamp(), row
