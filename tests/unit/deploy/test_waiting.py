"""Waiting has an end."""

from deploy.waiting import wait_until


def test_it_ends_when_the_state_is_reached() -> None:
    answers = iter([False, False, True])
    assert wait_until(lambda: next(answers), 10, now=lambda: 0, pause=lambda _: None)


def test_it_ends_when_the_time_is_over() -> None:
    times = iter([0.0, 1.0, 2.0, 3.0])
    assert not wait_until(lambda: False, 2.5, now=lambda: next(times), pause=lambda _: None)
