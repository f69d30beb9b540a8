"""Checks of what nobody can handle: it waits for a person after a bounded number of tries, and alone."""

from collections import Counter
from collections.abc import Iterator

from chaos.seen import Seen
from chaos.violation import Violation
from shared.runtime.suspects import CONSUMER_LOST, SUSPECT_AFTER
from shared.topology.delays import MAX_ATTEMPTS

GIVEN_UP = frozenset({CONSUMER_LOST, "delivery_limit"})
"""Reasons of letters whose consumers died, by our count or RabbitMQ's."""


def poison_lost(seen: Seen) -> Iterator[Violation]:
    """What no service can read waits for a person, each piece of it; so does what has killed until its last attempt."""
    # A killer that has begun to kill is let live in the end, and decided on like anything else.
    decided = {invoice for invoice, _ in seen.decisions}
    for row in seen.poisons:
        marker, letter = row["marker"], seen.letters.get(row["marker"])
        if row.get("kills") and row["behind"]:
            if letter is None or letter["reason"] != CONSUMER_LOST:
                yield Violation("poison_lost", marker, f"{row['form']}: it was not given up for that")
        elif letter is None and marker not in seen.waiting and not (row.get("kills") and marker in decided):
            yield Violation("poison_lost", marker, f"{row['form']}, put into {row['queue']}")


def poison_attempts(seen: Seen) -> Iterator[Violation]:
    """No message is tried more often than the ladder allows, nor kills again before it was put on the next rung."""
    deaths = deaths_of_poison(seen)
    for row in seen.poisons:
        marker = row["marker"]
        letter = seen.letters.get(marker) or seen.waiting.get(marker) or {}
        tries = letter.get("attempts")
        known = tries if isinstance(tries, int) else MAX_ATTEMPTS
        if deaths[marker] > SUSPECT_AFTER + (0 if row.get("behind") else known):
            yield Violation("poison_attempts", marker, f"{row['form']}: it ended {deaths[marker]} processes")
        elif isinstance(tries, int) and tries > MAX_ATTEMPTS:
            yield Violation("poison_attempts", marker, f"{row['form']}: {tries} attempts")


def deaths_of_poison(seen: Seen) -> Counter[str]:
    """Marker → how many processes its handling has ended."""
    markers = {row["marker"] for row in seen.poisons}
    return Counter(one for strike in seen.strikes for one in strike["ids"] if one in markers)


def innocent_parked(seen: Seen) -> Iterator[Violation]:
    """What kills its consumer is given up, and nothing that was only beside it."""
    killers = deaths_of_poison(seen).keys()
    known = seen.invoices.keys() | {row["marker"] for row in seen.poisons}
    for one, letter in seen.letters.items():
        if letter["reason"] in GIVEN_UP and one in known and killers.isdisjoint(letter["ids"]):
            yield Violation("innocent_parked", one, f"given up in {letter['source']}")
