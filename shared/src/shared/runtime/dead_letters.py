"""Dead letters: how one is written, listed and replayed.

``python -m shared.runtime.dead_letters list`` prints what waits; ``… replay QUEUE`` sends a queue's letters back
to where they came from. A replayed message is safe because every consumer is idempotent. ``… purge [--yes]`` takes
away the letters that tell of a person; who it is comes on standard input.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiormq
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection

from shared.errors import ConfigurationError, DuebellError
from shared.runtime.connection import open_connection
from shared.runtime.publisher import EventPublisher, Outgoing, open_publisher
from shared.settings.base import load_settings
from shared.settings.groups import AmqpSettings
from shared.topology import exchanges, queues

ATTEMPT = "x-attempt"
REASON = "x-reason"
SOURCE = "x-source-queue"
FIRST_SEEN = "x-first-seen"
OUTAGE_SINCE = "x-outage-since"

_LIST_AT_MOST = 1000


@dataclass(frozen=True)
class DeadLetter:
    """A message nobody could handle, with why, from where, how often and since when."""

    service: str
    body: bytes
    source: str
    reason: str
    attempts: int
    first_seen: str
    correlation: str | None = None
    type: str | None = None
    content_type: str = "application/json"

    def outgoing(self) -> Outgoing:
        """To the service's dead-letter queue."""
        return Outgoing(
            self.body,
            exchange=exchanges.DEAD,
            routing_key=self.service,
            type=self.type,
            headers={
                REASON: self.reason[:500],
                SOURCE: self.source,
                ATTEMPT: self.attempts,
                FIRST_SEEN: self.first_seen,
            },
            content_type=self.content_type,
            correlation=self.correlation,
        )


def describe(message: AbstractIncomingMessage, queue: str) -> dict[str, str | int | None]:
    """What an operator needs to know of a letter; never its body."""
    headers: Mapping[str, object] = message.headers
    deaths = headers.get("x-death")
    death = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}
    attempts = headers.get(ATTEMPT, 0)
    return {
        "queue": queue,
        "type": message.type,
        "reason": str(headers.get(REASON) or death.get("reason") or "unknown"),
        "source": str(headers.get(SOURCE) or death.get("queue") or ""),
        "attempts": attempts if isinstance(attempts, int) else 0,
        "first_seen": str(headers.get(FIRST_SEEN) or ""),
        "correlation_id": message.correlation_id,
        "bytes": len(message.body),
    }


async def listing(connection: AbstractRobustConnection) -> list[dict[str, str | int | None]]:
    """Every letter of every service, oldest first, the first thousand of each queue; none is taken away."""
    found: list[dict[str, str | int | None]] = []
    for service in queues.SERVICES:
        name = queues.dead_queue(service)
        channel = await connection.channel()
        queue = await channel.get_queue(name, ensure=True)
        held: list[AbstractIncomingMessage] = []
        while len(held) < _LIST_AT_MOST:
            message = await queue.get(fail=False, timeout=10)
            if message is None:
                break
            held.append(message)
        found.extend(describe(message, name) for message in held)
        for message in held:
            await message.reject(requeue=True)
        await channel.close()
    return found


async def replay(connection: AbstractRobustConnection, publisher: EventPublisher, name: str) -> int:
    """Send the letters that wait now in ``name`` back to their source queues, attempts counted anew; how many.

    A letter without a known source stays. Each is acknowledged only after its copy is confirmed.
    """
    channel = await connection.channel()
    queue = await channel.get_queue(name, ensure=True)
    declared = await channel.declare_queue(name, passive=True)
    sources = {known.name for known in queues.QUEUES}
    waiting = declared.declaration_result.message_count or 0
    sent, kept = 0, []
    for _ in range(waiting):
        message = await queue.get(fail=False, timeout=10)
        if message is None:
            break
        source = str(describe(message, name)["source"])
        if source not in sources:
            kept.append(message)
            continue
        outgoing = Outgoing(
            message.body,
            exchange="",
            routing_key=source,
            type=message.type,
            correlation=message.correlation_id,
            content_type=message.content_type or "application/json",
        )
        await publisher.send(outgoing)
        await message.ack()
        sent += 1
    for message in kept:
        await message.reject(requeue=True)
    await channel.close()
    return sent


async def purge(connection: AbstractRobustConnection, words: Sequence[str], *, really: bool) -> dict[str, int]:
    """Take away every letter whose body holds one of ``words``; how many of each queue. The others stay in order."""
    found: dict[str, int] = {}
    needles = [word.encode() for word in words if word]
    for service in queues.SERVICES:
        name = queues.dead_queue(service)
        channel = await connection.channel()
        queue = await channel.get_queue(name, ensure=True)
        declared = await channel.declare_queue(name, passive=True)
        kept: list[AbstractIncomingMessage] = []
        for _ in range(declared.declaration_result.message_count or 0):
            message = await queue.get(fail=False, timeout=10)
            if message is None:
                break
            if not any(needle in message.body for needle in needles):
                kept.append(message)
                continue
            found[name] = found.get(name, 0) + 1
            if really:
                await message.ack()
            else:
                kept.append(message)
        for message in kept:
            await message.reject(requeue=True)
        await channel.close()
    return found


async def _run(arguments: list[str]) -> None:
    amqp_url = load_settings(AmqpSettings).amqp_url.get_secret_value()
    async with open_connection(amqp_url, "duebell.dead_letters") as connection:
        match arguments:
            case ["list"]:
                letters = await listing(connection)
                for letter in letters:
                    sys.stdout.write(json.dumps(letter) + "\n")
                sys.stderr.write(f"{len(letters)} dead letters\n")
            case ["replay", name]:
                async with open_publisher(connection, "duebell.dead_letters") as publisher:
                    sys.stdout.write(f"{await replay(connection, publisher, name)} replayed from {name}\n")
            case ["purge", *way] if way in ([], ["--yes"]):
                words = json.load(sys.stdin)["words"]
                found = await purge(connection, words, really=bool(way))
                counted = ", ".join(f"{count} in {name}" for name, count in found.items()) or "none"
                sys.stdout.write(f"dead letters: {counted}{' taken away' if found and way else ''}\n")
            case _:
                raise ConfigurationError("say list, or purge, or replay and a queue such as fetcher.dead")


def main() -> None:
    try:
        asyncio.run(_run(sys.argv[1:]))
    except (DuebellError, aiormq.exceptions.AMQPError) as error:
        sys.exit(f"dead letters: {error}")


if __name__ == "__main__":
    main()
