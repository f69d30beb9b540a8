"""A status that comes before the answer is applied, whoever dies between the two."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
import sqlalchemy as sa

from notifier.ports import Accepted
from notifier.tables import attempts, early_statuses
from support.notifier import ALWAYS, World, status_update, world

pytestmark = pytest.mark.integration

SID = "SM" + "a" * 32
FOREIGN = "SM" + "f" * 32
Point = Literal["looking", "applying", "applied"]


class Dies(Exception):  # noqa: N818 - says what happens
    """What was not committed is undone, as when a process ends."""


@contextmanager
def dying(notifier: World, point: Point) -> Iterator[None]:
    """At the first transaction after the next commit, at the second one, or when that is to be committed."""
    commits = begins = 0

    def committing(_: sa.Connection) -> None:
        nonlocal commits
        commits += 1
        if commits > 1 and point == "applied":
            raise Dies

    def beginning(_: sa.Connection) -> None:
        nonlocal begins
        begins += commits > 0
        if (begins, point) in {(1, "looking"), (2, "applying")}:
            raise Dies

    engine = notifier.engine.sync_engine
    sa.event.listen(engine, "commit", committing)
    sa.event.listen(engine, "begin", beginning)
    try:
        yield
    finally:
        sa.event.remove(engine, "commit", committing)
        sa.event.remove(engine, "begin", beginning)


@pytest.mark.parametrize("point", ["looking", "applying", "applied"])
async def test_who_dies_before_it_is_applied_leaves_it_to_the_next_sender(database_url: str, point: Point) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await notifier.take_in()
        death = dying(notifier, point)

        async def failed_already() -> None:
            # Another application's message on the same account, which is nobody's here.
            await notifier.learn(status_update("delivered", None, FOREIGN, provider="twilio"))
            for status in ("sent", "failed"):
                notifier.clock.forward(seconds=1)
                await notifier.learn(status_update(status, None, SID, error_code=131026))
            death.__enter__()

        notifier.provider.meanwhile = failed_already
        notifier.provider.answers.append(Accepted(SID))
        try:
            with pytest.raises(Dies):
                await notifier.sender.run_once()
        finally:
            death.__exit__(None, None, None)
        assert await notifier.states() == ["accepted"]

        await notifier.another_sender().run_once()
        row = await notifier.intent()
        assert (row.state, row.reason) == ("failed", "whatsapp_131026")
        assert [kept.provider_message_id for kept in await notifier.rows(early_statuses)] == [FOREIGN]
        assert await notifier.told() == ["accepted", "sent", "failed"]
        (attempt,) = await notifier.rows(attempts)
        await notifier.another_sender().run_once()
        assert await notifier.rows(attempts) == [attempt]


async def test_a_status_that_meets_the_answer_on_its_way_is_not_kept(database_url: str) -> None:
    """Its message becomes known between its two looks: applied by then, it must not be applied again later."""
    async with world(database_url, ALWAYS) as notifier:
        await notifier.take_in()
        await notifier.sender.run_once()
        (before,) = await notifier.rows(attempts)
        hidden = sa.update(attempts).values(provider_message_id=None)
        async with notifier.engine.begin() as db:
            await db.execute(hidden)
        seen = sa.update(attempts).values(provider_message_id=before.provider_message_id)

        hidden_yet = [True]

        def known_meanwhile(connection: sa.Connection) -> None:
            if hidden_yet:
                hidden_yet.clear()
                connection.execute(seen)

        sa.event.listen(notifier.engine.sync_engine, "commit", known_meanwhile)
        await notifier.learn(status_update("delivered", None, before.provider_message_id))
        assert await notifier.states() == ["delivered"]
        assert await notifier.rows(early_statuses) == []
