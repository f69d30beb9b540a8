"""How much of a time was peace, whatever faults lay in it or over each other."""

import pytest

from chaos.spans import FaultSpan, peace


def span(began: float, ended: float, recovered: float | None) -> FaultSpan:
    return FaultSpan(1, "x", began, ended, 0, loses_answers=False, recovered_at=recovered)


@pytest.mark.parametrize(
    ("faults", "left"),
    [
        ([], 100.0),
        ([span(10, 20, 30)], 80.0),
        ([span(10, 20, 40), span(15, 18, 20)], 70.0),
        ([span(30, 40, 60), span(10, 20, 40)], 50.0),
        ([span(-50, -40, 10), span(90, 95, 200)], 80.0),
        ([span(10, 20, None)], 30.0),
        ([span(-50, 20, 300)], 0.0),
        ([span(200, 210, 220)], 100.0),
    ],
)
def test_peace_is_what_no_fault_covers(faults: list[FaultSpan], left: float) -> None:
    assert peace(faults, 0, 100) == left
