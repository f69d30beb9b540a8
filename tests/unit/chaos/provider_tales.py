"""What is told of Xero's rules: each check sees a history with exactly one thing wrong."""

from collections.abc import Callable

from unit.chaos.telling import TENANT, Tale, sent

LENIENT = "xero-reset"


def token_reuse() -> Tale:
    tale = sent().journal("xero.token", grant="refresh_token", refresh_token="aa")
    return tale.journal("xero.token", grant="refresh_token", refresh_token="aa")


def reuse_told() -> Tale:
    return sent().journal("xero.breach", rule="token_reuse", token="aa")


def limit_told() -> Tale:
    return sent().journal("xero.breach", rule="limit_minute", tenant=TENANT)


def too_many_calls() -> Tale:
    tale = sent()
    for number in range(61):
        tale.add("journal", at=200 + number * 0.9, kind="xero.api", tenant=TENANT, status=200, ms=2.0)
    return tale


def too_many_at_once() -> Tale:
    tale = sent()
    for number in range(6):
        tale.add("journal", at=200 + number * 0.1, kind="xero.api", tenant=TENANT, status=200, ms=900.0)
    return tale


def forgotten() -> Tale:
    return sent().add("remembered", calls=7, forgotten=1)


def shown_again_after_the_answer() -> Tale:
    """The answer to the second time was not lost."""
    tale = answer_made_to_vanish()
    tale.now += 70
    return tale.journal("xero.token", grant="refresh_token", refresh_token="aa")


def shown_again_at_once() -> Tale:
    """As two that refresh at the same time would, while answers are lost to somebody else."""
    tale = sent().fault("xero-reset", "begin", loses_answers=True)
    number = tale.records[-1]["number"]
    for _ in range(2):
        tale.journal("xero.token", grant="refresh_token", refresh_token="aa")
    for phase in ("end", "recovered"):
        tale.add("fault", number=number, name=LENIENT, phase=phase)
    return tale


WRONG: list[tuple[str, Callable[[], Tale]]] = [
    ("token_reuse", token_reuse),
    ("token_reuse", reuse_told),
    ("limit_breach", limit_told),
    ("limit_breach", too_many_calls),
    ("limit_breach", too_many_at_once),
    ("forgotten", forgotten),
    ("token_reuse", shown_again_after_the_answer),
    ("token_reuse", shown_again_at_once),
]


def answer_made_to_vanish() -> Tale:
    tale = sent().fault(LENIENT, "begin", loses_answers=True)
    number = tale.records[-1]["number"]
    tale.journal("xero.token", grant="refresh_token", refresh_token="aa")
    tale.add("fault", number=number, name=LENIENT, phase="end").add(
        "fault", number=number, name=LENIENT, phase="recovered"
    )
    # By then the first request has ended, however it did.
    tale.now += 25
    return tale.journal("xero.token", grant="refresh_token", refresh_token="aa")


RIGHT: list[Callable[[], Tale]] = [
    answer_made_to_vanish,
]
