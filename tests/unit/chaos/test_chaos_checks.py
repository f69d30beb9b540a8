"""Every check has a history, made by hand, that it finds."""

from chaos.checks import CHECKS
from unit.chaos.test_chaos_door import WRONG as DOOR
from unit.chaos.test_chaos_evidence import WRONG as EVIDENCE
from unit.chaos.test_chaos_messages import WRONG as MESSAGES
from unit.chaos.test_chaos_promises import BROKEN as PROMISED
from unit.chaos.test_chaos_provider import WRONG as PROVIDER


def test_every_check_has_a_history_that_it_finds() -> None:
    assert {check for check, _ in (*DOOR, *EVIDENCE, *MESSAGES, *PROVIDER, *PROMISED)} == set(CHECKS)
