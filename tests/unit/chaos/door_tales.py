"""What is told of the door: each check of it sees a history with exactly one thing wrong."""

from collections.abc import Callable

from unit.chaos.telling import Tale, sent


def forged_accepted() -> Tale:
    return sent().invoice("b").event("b", status=200, forged="no signature")


def forged_got_in() -> Tale:
    return sent().invoice("b").event("b", status=401, forged="no signature").snapshot("b")


def server_errors() -> Tale:
    return sent().invoice("b").event("b", status=500, forged="no signature")


def slow_answers() -> Tale:
    return sent().event("a", ms=5001)


def slow_refusals() -> Tale:
    return sent().event("a", status=503, ms=2600)


def hostile_accepted() -> Tale:
    return sent().attack().thrown("two signatures", "401", 2, {"401": 1, "200": 1})


def hostile_route_accepted() -> Tale:
    return sent().attack("hostile-routes").thrown("paths and methods", "no", 2, {"404": 1, "204": 1})


def hostile_error() -> Tale:
    return sent().attack("hostile-deep").thrown("nested lists, forged", "401", 2, {"401": 1, "500": 1})


def forged_answered_otherwise() -> Tale:
    return sent().attack().thrown("no signature", "401", 2, {"401": 1, "400": 1})


def forged_answered_with_a_body() -> Tale:
    return sent().attack().thrown("no signature", "401", 2, {"401": 2}, bodies=1)


def answered_with_a_cookie() -> Tale:
    return sent().attack("hostile-routes").thrown("health", "200", 2, {"200": 2}, bodies=2, cookies=1)


def signed_and_refused() -> Tale:
    return sent().attack("hostile-deep").thrown("nested lists, signed", "200", 2, {"200": 1, "401": 1})


def honest_refused() -> Tale:
    return sent().attack().honest(401)


def honest_unanswered() -> Tale:
    return sent().attack("hostile-slow").honest(None)


def honest_handshake_taken() -> Tale:
    """The wrong half of a round has to be refused."""
    return sent().attack().honest(200, wanted=401)


def slow_while_attacked() -> Tale:
    return sent().attack("hostile-slow", full=True).honest(200, ms=1001)


def too_much_memory() -> Tale:
    return sent().attack("hostile-huge").door("during", rss=257 << 20)


def a_leak() -> Tale:
    return sent().attack(full=True).door("after", rss=100 << 20)


def door_died() -> Tale:
    return sent().attack().door("after", pid=8)


def files_kept() -> Tale:
    return sent().attack("hostile-slow").door("after", files=120)


def forged_not_answered() -> Tale:
    return sent().invoice("b").event("b", status=None, forged="no signature")


def forged_called_too_large() -> Tale:
    return sent().invoice("b").event("b", status=413, forged="no signature")


WRONG: list[tuple[str, Callable[[], Tale]]] = [
    ("forged_accepted", forged_accepted),
    ("forged_accepted", forged_got_in),
    ("server_errors", server_errors),
    ("slow_answers", slow_answers),
    ("slow_refusals", slow_refusals),
    ("forged_accepted", hostile_accepted),
    ("forged_accepted", hostile_route_accepted),
    ("server_errors", hostile_error),
    ("refused_wrongly", forged_answered_otherwise),
    ("refused_wrongly", forged_answered_with_a_body),
    ("refused_wrongly", answered_with_a_cookie),
    ("refused_wrongly", signed_and_refused),
    ("honest_refused", honest_refused),
    ("honest_refused", honest_unanswered),
    ("honest_refused", honest_handshake_taken),
    ("slow_while_attacked", slow_while_attacked),
    ("door_memory", too_much_memory),
    ("door_memory", a_leak),
    ("door_died", door_died),
    ("door_files", files_kept),
    ("refused_wrongly", forged_not_answered),
    ("refused_wrongly", forged_called_too_large),
]


def attacked() -> Tale:
    return sent().attack().attack("hostile-slow").attack(full=True)


def slow_in_a_small_attack() -> Tale:
    """Times are judged where there are enough of them, on a machine of which one knows what it has to do."""
    return sent().attack("hostile-slow").honest(200, ms=1500)


def put_off_while_the_broker_is_away() -> Tale:
    tale = sent().fault("rabbitmq-kill", "begin", "end")
    ended = tale.records[-1]
    return tale.attack().honest(503).add("fault", number=ended["number"], name="rabbitmq-kill", phase="recovered")


def forged_not_answered_by_the_dead() -> Tale:
    tale = sent().invoice("b").fault("kill-ingress", "begin", shuts_door=True)
    number = tale.records[-1]["number"]
    tale.event("b", status=None, forged="no signature")
    for phase in ("end", "recovered"):
        tale.add("fault", number=number, name="kill-ingress", phase=phase)
    return tale


RIGHT: list[Callable[[], Tale]] = [
    attacked,
    slow_in_a_small_attack,
    put_off_while_the_broker_is_away,
    forged_not_answered_by_the_dead,
]
