"""Each check sees a one: a history with exactly one thing wrong is found, by that check alone."""

from collections.abc import Callable

import pytest

from chaos.checks import CHECKS, violations
from unit.chaos import door_tales, evidence_tales, messages_tales, promises_tales, provider_tales
from unit.chaos.telling import TENANT, Tale, sent

_ROOMS = (door_tales, evidence_tales, messages_tales, promises_tales, provider_tales)
WRONG = [each for room in _ROOMS for each in room.WRONG]
RIGHT = [each for room in _ROOMS for each in room.RIGHT]


def test_every_check_has_a_history_that_it_finds() -> None:
    assert {check for check, _ in WRONG} == set(CHECKS)


@pytest.mark.parametrize(("check", "tale"), WRONG, ids=[tale.__name__ for _, tale in WRONG])
def test_one_thing_wrong_is_seen_by_its_check_and_by_no_other(check: str, tale: Callable[[], Tale]) -> None:
    found = {violation.check for violation in violations(tale().seen())}
    assert check in found
    assert found <= {check} | messages_tales.ALSO.get(tale.__name__, set())


@pytest.mark.parametrize("tale", RIGHT, ids=lambda tale: str(tale.__name__))
def test_what_is_right_is_let_pass(tale: Callable[[], Tale]) -> None:
    assert violations(tale().seen()) == []


def test_sixty_calls_a_minute_and_five_at_once_are_allowed() -> None:
    tale = sent()
    for number in range(180):
        tale.add("journal", at=200 + number * 1.0, kind="xero.api", tenant=TENANT, status=200, ms=900.0)
    assert violations(tale.seen()) == []
