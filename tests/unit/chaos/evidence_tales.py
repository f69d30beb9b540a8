"""What is told of the run itself, its faults and its records: each check sees a history with one thing wrong."""

from collections.abc import Callable

from unit.chaos.telling import TENANT, Tale, sent


def number_in_log() -> Tale:
    return sent().add("leak", log="notifier", event="message.sent", lines=2)


def not_played() -> Tale:
    return sent().add("left_out", name="redis-kill", why="no time left", wanted=True)


def never_recovered() -> Tale:
    return sent().fault("kill-fetcher", "begin", "end")


def never_happened() -> Tale:
    return sent().fault("redis-cut", "begin", "end", "missed", "recovered")


def late_return() -> Tale:
    return sent().fault("rabbitmq-kill", "begin", "end", "recovered", back_within=30.0, ready=30.1)


def unreplicated() -> Tale:
    return sent().add("replicas", queue="token-broker.token.access", members=1, of=3)


def accepted_without_majority() -> Tale:
    return sent().add("majority", gone=True).event("a").add("majority", gone=False)


def accepted_before_the_majority_came_back() -> Tale:
    return sent().add("majority", gone=True).event("a")


def all_left_out() -> Tale:
    return sent().add("left_out", name="redis-kill", why="no time left", wanted=False)


def journal_gap() -> Tale:
    tale = sent().journal("xero.api", tenant=TENANT, seq=1, skipped=0)
    return tale.journal("xero.api", tenant=TENANT, seq=4, skipped=1)


def copied_twice() -> Tale:
    return sent().journal("xero.api", tenant=TENANT, seq=1, skipped=0).journal("xero.api", seq=1, skipped=0)


def journal_gap_untold() -> Tale:
    return sent().journal("xero.api", tenant=TENANT, seq=1).journal("xero.api", tenant=TENANT, seq=100)


WRONG: list[tuple[str, Callable[[], Tale]]] = [
    ("number_in_log", number_in_log),
    ("never_recovered", never_recovered),
    ("not_played", not_played),
    ("never_happened", never_happened),
    ("late_return", late_return),
    ("unreplicated", unreplicated),
    ("accepted_without_majority", accepted_without_majority),
    ("accepted_without_majority", accepted_before_the_majority_came_back),
    ("not_played", all_left_out),
    ("journal_gap", journal_gap),
    ("journal_gap", copied_twice),
    ("journal_gap", journal_gap_untold),
]


def back_in_time() -> Tale:
    return sent().fault("rabbitmq-kill", "begin", "end", "recovered", back_within=30.0, ready=9.0)


def around_a_minority() -> Tale:
    """Refused while it lasted; one asked for before, and one answered after."""
    tale = sent().add("replicas", queue="q", members=3, of=3).add("majority", gone=True)
    tale.event("a", ms=4000).event("a", status=503).add("majority", gone=False)
    return tale.event("a")


def some_left_out() -> Tale:
    return back_in_time().add("left_out", name="redis-kill", why="no time left", wanted=False)


def others_left_out_of_the_journal() -> Tale:
    """Entries of other kinds are not copied; how many is told by the next that is."""
    tale = sent().journal("xero.api", tenant=TENANT, seq=7, skipped=6)
    return tale.journal("xero.token", seq=8, skipped=0).journal("xero.api", tenant=TENANT, seq=30, skipped=21)


RIGHT: list[Callable[[], Tale]] = [
    back_in_time,
    around_a_minority,
    some_left_out,
    others_left_out_of_the_journal,
]
