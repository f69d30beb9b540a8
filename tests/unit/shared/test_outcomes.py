"""What becomes of a message whose handler failed."""

import socket
import sqlite3

import pytest
import sqlalchemy as sa

from shared.errors import OutageError, PermanentError, PersonNeededError, PublishFailed, RetryableError
from shared.runtime.database import answers, create_engine, is_to_blame
from shared.runtime.outcomes import OUTAGE_SECONDS, Bury, Delay, Outcome, outcome_of
from shared.topology.delays import LADDER, LATEST_SECONDS


@pytest.mark.parametrize(
    ("error", "attempts", "expected"),
    [
        (RetryableError("slow"), 0, Delay(LADDER[0], 1, "slow")),
        (RetryableError("slow"), 4, Delay(LADDER[4], 5, "slow")),
        (RetryableError("slow"), 6, Delay(LADDER[6], 7, "slow")),
        (RetryableError("slow"), 7, Bury("slow")),
        (RetryableError("limited", retry_after=40), 0, Delay(LADDER[3], 1, "limited")),
        (RetryableError("limited", retry_after=66_975), 0, Delay(LADDER[-1], 1, "limited")),
        (RetryableError("held", counts=False), 7, Delay(LADDER[-1], 7, "held")),
        (RetryableError("held", retry_after=1, counts=False), 99, Delay(LADDER[0], 99, "held")),
        (RetryableError("parked", retry_after=66_975, counts=False), 0, Delay(LADDER[-1], 0, "parked")),
        (RetryableError("parked", retry_after=3300, counts=False), 0, Delay(LADDER[-2], 0, "parked")),
        (RetryableError("parked", retry_after=1500, counts=False), 0, Delay(LADDER[-2], 0, "parked")),
        (PublishFailed("publish_unconfirmed"), 0, Delay(LADDER[0], 1, "publish_unconfirmed")),
        (PermanentError("unknown_tenant"), 0, Bury("unknown_tenant")),
        (KeyError("bug"), 0, Delay(LADDER[0], 1, "unexpected_KeyError")),
        (KeyError("bug"), 7, Bury("unexpected_KeyError")),
    ],
)
def test_an_error_has_one_outcome(error: Exception, attempts: int, expected: Outcome) -> None:
    assert outcome_of(error, attempts) == expected


class SqliteError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__("as the driver says it")
        self.sqlite_errorcode = code


class RefusedError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("refused")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "is_away"),
    [
        (sa.exc.TimeoutError("the pool"), True),
        (sa.exc.OperationalError("x", {}, SqliteError(sqlite3.SQLITE_BUSY)), True),
        (sa.exc.OperationalError("x", {}, SqliteError(sqlite3.SQLITE_IOERR_WRITE)), True),
        # A column that is not there, and a value that cannot be sent, come in the classes of an outage.
        (sa.exc.OperationalError("x", {}, SqliteError(sqlite3.SQLITE_ERROR)), False),
        (sa.exc.InterfaceError("x", {}, ValueError("value out of int32 range")), False),
        (sa.exc.InterfaceError("x", {}, Exception("connection is closed"), connection_invalidated=True), True),
        (ConnectionResetError(), False),
        *((sa.exc.DBAPIError("x", {}, RefusedError(code)), True) for code in ("53300", "57P03", "08006", "25006")),
        (sa.exc.IntegrityError("x", {}, RefusedError("23505")), False),
        (sa.exc.DBAPIError("x", {}, RefusedError("22001")), False),
        (TimeoutError(), False),
        (FileNotFoundError(), False),
    ],
)
def test_while_the_database_is_away_no_attempt_is_counted(error: Exception, is_away: bool) -> None:
    assert is_to_blame(error) is is_away
    outcome = outcome_of(error, 7, outage_seconds=600 if is_away else None, away=is_away)
    assert outcome == (
        Delay(LADDER[4], 7, "database_unavailable", in_outage=True)
        if is_away
        else Bury(f"unexpected_{type(error).__name__}")
    )


async def test_who_refuses_the_engine_a_connection_is_the_database() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        engine = create_engine(f"postgresql://u:p@127.0.0.1:{nobody.getsockname()[1]}/d")
        with pytest.raises(ConnectionRefusedError) as refused:
            await answers(engine)
    assert is_to_blame(refused.value)
    assert outcome_of(refused.value, 7, away=True) == Delay(LADDER[0], 7, "database_unavailable", in_outage=True)


def test_an_unreadable_body_is_never_tried_again() -> None:
    assert outcome_of(ValueError("whatever"), 0, unreadable=True) == Bury("unreadable_body")


@pytest.mark.parametrize(("waited_seconds", "pause"), [(-1, 60), (0, 60), (599, 60), (600, 300), (90 * 86400, 300)])
@pytest.mark.parametrize("attempts", [0, 7])
def test_what_waits_for_a_person_is_never_buried_and_tried_less_often(
    waited_seconds: float, pause: int, attempts: int
) -> None:
    outcome = outcome_of(PersonNeededError("reconnect_needed"), attempts, waited_seconds=waited_seconds)
    assert isinstance(outcome, Delay)
    assert (outcome.rung.seconds, outcome.attempt, outcome.reason) == (pause, 0, "reconnect_needed")


@pytest.mark.parametrize("seconds", [0.2, 16, 301, 310, 1499, 1801, 3300, 5400, 7201, 66_975, 86_399])
def test_a_wait_that_is_no_failure_ends_hardly_late(seconds: float) -> None:
    waited, steps = 0.0, 0
    while waited < seconds:
        outcome = outcome_of(RetryableError("parked", retry_after=seconds - waited, counts=False), 0)
        assert isinstance(outcome, Delay)
        waited, steps = waited + outcome.rung.seconds, steps + 1
    assert waited - seconds <= LATEST_SECONDS
    assert steps <= 20


@pytest.mark.parametrize(
    ("outage_seconds", "retry_after", "pause"),
    [
        (None, None, 1),
        (0, None, 1),
        (100, None, 60),
        (3600, None, 1800),
        (86_000, None, 1800),
        (0, 290, 300),
        (3600, 290, 1800),
    ],
)
def test_an_outage_uses_up_no_attempt_for_a_day(
    outage_seconds: float | None, retry_after: float | None, pause: int
) -> None:
    error = OutageError("down", retry_after=retry_after)
    # What it waited for before, for days perhaps, was something else.
    outcome = outcome_of(error, 7, waited_seconds=5 * OUTAGE_SECONDS, outage_seconds=outage_seconds)
    assert isinstance(outcome, Delay)
    assert (outcome.rung.seconds, outcome.attempt, outcome.reason, outcome.in_outage) == (pause, 7, "down", True)


def test_after_a_day_of_an_outage_attempts_count_again() -> None:
    error = OutageError("down")
    assert outcome_of(error, 0, outage_seconds=OUTAGE_SECONDS) == Delay(LADDER[0], 1, "down", in_outage=True)
    assert outcome_of(error, 7, outage_seconds=OUTAGE_SECONDS) == Bury("down")


@pytest.mark.parametrize(
    ("error", "in_outage"),
    [(RetryableError("tenant_held", counts=False), True), (PersonNeededError("reconnect_needed"), False)],
)
def test_an_outage_is_remembered_until_a_person_is_waited_for(error: RetryableError, in_outage: bool) -> None:
    """Held because of it, a message still waits for its end; after days without consent another outage begins anew."""
    outcome = outcome_of(error, 1, outage_seconds=60)
    assert isinstance(outcome, Delay)
    assert outcome.in_outage is in_outage
