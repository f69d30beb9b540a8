"""Checks of the history itself: that what was asked for was played, and that its records are whole and agree."""

from collections.abc import Iterator
from itertools import pairwise

from chaos.seen import Seen
from chaos.violation import Violation
from notifier.sender import SENDER_GONE_AFTER

_MOST_UNTOLD = 9
"""Of entries in a row which a history leaves out without saying how many."""


def not_played(seen: Seen) -> Iterator[Violation]:
    """A run plays all that it was asked for, and one that may leave faults out plays some all the same."""
    for row in seen.left_out:
        if row.get("wanted"):
            yield Violation("not_played", row["name"], row["why"])
    if seen.left_out and not seen.faults:
        yield Violation("not_played", "", f"all {len(seen.left_out)} faults were left out")


def never_happened(seen: Seen) -> Iterator[Violation]:
    """A fault that was not observed proves nothing."""
    for span in seen.faults:
        if not span.hit:
            yield Violation("never_happened", span.name, f"fault {span.number} was not seen to take hold")


def nothing_proven(seen: Seen) -> Iterator[Violation]:
    """A run in which no event was accepted says nothing of any promise."""
    if not seen.accepted:
        yield Violation("nothing_proven", "", "no event was accepted")


def journal_gap(seen: Seen) -> Iterator[Violation]:
    """The double's journal is copied whole: between two entries none is missing but those told to be left out."""
    rows = sorted((row for rows in seen.journal.values() for row in rows if "seq" in row), key=lambda row: row["seq"])
    for before, row in pairwise(rows):
        missing = row["seq"] - before["seq"] - 1
        told = row.get("skipped")
        if missing != told and (told is not None or not 0 <= missing <= _MOST_UNTOLD):
            details = f"{missing} entries before entry {row['seq']}, and {told or 0} are told to be left out"
            yield Violation("journal_gap", row["kind"], details)


def wrong_start(seen: Seen) -> Iterator[Violation]:
    """A message arrives after its attempt was begun, and where no fault was on within a minute of it."""
    started = {row["reference"]: row["started_at"] for row in seen.attempts}
    longest = SENDER_GONE_AFTER.total_seconds()
    for (invoice, kind), messages in seen.messages.items():
        for message in messages:
            began = started.get(message.reference or "", message.at)
            if seen.clock_moved(min(began, message.at), max(began, message.at)):
                continue
            if began > message.at:
                yield Violation("wrong_start", invoice, f"{kind} begun {began - message.at:.1f} s after it arrived")
            elif (took := seen.peace(began, message.at)) > longest:
                yield Violation("wrong_start", invoice, f"{kind} arrived {took:.0f} s after it was begun, in peace")
