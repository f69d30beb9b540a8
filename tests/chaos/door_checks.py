"""What must hold of the door while it is attacked."""

from collections.abc import Iterator

from chaos.attacked import Attack
from chaos.attacks.target import Due
from chaos.percentiles import percentile
from chaos.seen import Seen
from chaos.spans import FaultSpan
from chaos.violation import Violation

MOST_BYTES = 256 * 1024 * 1024
BYTES_PER_POST = 1024
ARENAS = 16 * 1024 * 1024
"""By so much a process that has just been started grows until it has had everything in hand once."""
ENOUGH_POSTS = 5000
"""Of fewer, or in smaller amounts, what each costs for good cannot be told from how memory comes and goes."""
MOST_MILLISECONDS = 1000.0
_REFUSAL = 401
FILES_TO_SPARE = 12
"""Honest senders keep some connections."""


def hostile_accepted(seen: Seen) -> Iterator[Violation]:
    """Nothing hostile is answered with success, but for what is only odd and rightly signed."""
    for attack, way, due, answers in _ways(seen):
        taken = {word: count for word, count in answers.items() if word.startswith("2")}
        if due != Due.YES and taken:
            # Counted as the forgeries of the load are.
            yield Violation("forged_accepted", attack.name, f"{way}: {_told(taken)}")


def hostile_errors(seen: Seen) -> Iterator[Violation]:
    for attack, way, _, answers in _ways(seen):
        broken = {word: count for word, count in answers.items() if word.startswith("5")}
        if broken:
            yield Violation("server_errors", attack.name, f"{way}: {_told(broken)}")


def refused_wrongly(seen: Seen) -> Iterator[Violation]:
    """A forged body is answered, 401 with nothing in it and no cookie; what is rightly signed 200, however odd."""
    for row in seen.forged_answers:
        status = row["status"]
        if status is None and not seen.door_shut(row):
            yield Violation("refused_wrongly", row["post"], f"forged, and not answered: {row['error']}")
        elif status is not None and status != _REFUSAL and 300 <= status < 500:
            yield Violation("refused_wrongly", row["post"], f"forged, and answered {status}")
    for attack in seen.attacks:
        for row in attack.hostile:
            other = {word: count for word, count in row["answers"].items() if word != row["due"]}
            if row["due"] != Due.NO and any(not word.startswith(("2", "5")) for word in other):
                yield Violation("refused_wrongly", attack.name, f"{row['way']}, due {row['due']}: {_told(other)}")
            if row["cookies"] or (row["due"] == Due.REFUSAL and row["bodies"]):
                said = f"{row['bodies']} answers with a body, {row['cookies']} with a cookie"
                yield Violation("refused_wrongly", attack.name, f"{row['way']}: {said}")


def honest_refused(seen: Seen) -> Iterator[Violation]:
    """During an attack the honest get the right answer at once; a large body at the latest when it is repeated."""
    for attack in seen.attacks:
        for row in attack.honest:
            if row["status"] != row["wanted"] and not _broken_otherwise(row["at"], attack, seen):
                got = row["status"] or row.get("error")
                yield Violation("honest_refused", attack.name, f"{row['kind']}: {got}, not {row['wanted']}")


def slow_while_attacked(seen: Seen) -> Iterator[Violation]:
    """In an attack of full size 99 of 100 answers to the honest come within a second; large bodies take their turn."""
    for attack in seen.attacks:
        most = percentile(attack.waits, 0.99)
        if attack.full and most is not None and most > MOST_MILLISECONDS:
            yield Violation("slow_while_attacked", attack.name, f"p99 {most:.0f} ms of {len(attack.waits)} answers")


def door_memory(seen: Seen) -> Iterator[Violation]:
    """Ingress takes at most 256 MB, and a post costs nothing for good."""
    for attack in seen.attacks:
        most = max((row["rss"] for row in attack.samples), default=0)
        if most > MOST_BYTES:
            yield Violation("door_memory", attack.name, f"{most / 2**20:.0f} MB")
        grown, posts = growth(attack)
        if attack.full and posts >= ENOUGH_POSTS and grown > ARENAS + BYTES_PER_POST * posts:
            yield Violation("door_memory", attack.name, f"{grown / 2**20:.0f} MB more after {posts} posts")


def door_died(seen: Seen) -> Iterator[Violation]:
    """It is the same process afterwards as before."""
    for attack in seen.attacks:
        pids = {row["pid"] for row in attack.samples}
        if (len(pids) > 1 or 0 in pids) and not _broken_otherwise(attack.ended_at, attack, seen):
            yield Violation("door_died", attack.name, f"pids {', '.join(map(str, sorted(pids)))}")


def door_files(seen: Seen) -> Iterator[Violation]:
    """Every descriptor that an attack took is given back."""
    for attack in seen.attacks:
        before = [row["files"] for row in attack.samples if row["phase"] == "before"]
        after = [row["files"] for row in attack.samples if row["phase"] == "after"]
        if before and after and after[-1] > before[0] + FILES_TO_SPARE:
            yield Violation("door_files", attack.name, f"{before[0]} before, {after[-1]} after")


def growth(attack: Attack) -> tuple[int, int]:
    """Bytes by which ingress has grown since the first third of an attack, and how many posts came since then."""
    during = [row["rss"] for row in attack.samples if row["phase"] == "during"]
    after = [row["rss"] for row in attack.samples if row["phase"] == "after"]
    if len(during) < 6 or not after:
        return 0, 0
    warm = max(during[: len(during) // 3])
    return after[-1] - warm, attack.sent * 2 // 3


def _ways(seen: Seen) -> Iterator[tuple[Attack, str, str, dict[str, int]]]:
    for attack in seen.attacks:
        for row in attack.hostile:
            yield attack, row["way"], row["due"], row["answers"]


def _told(answers: dict[str, int]) -> str:
    return ", ".join(f"{count} × {word}" for word, count in sorted(answers.items()))


def _broken_otherwise(at: float, attack: Attack, seen: Seen) -> bool:
    """Whether something else was broken then."""
    others = (span for span in seen.faults if span.name != attack.name)
    return any(_covers(span, at) for span in others)


def _covers(span: FaultSpan, at: float) -> bool:
    return span.began_at <= at <= (span.recovered_at or span.ended_at + 60)
