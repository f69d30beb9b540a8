"""The notifier, put together."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from notifier.adapters.day_plans import SqlDayPlans
from notifier.adapters.erased import check_key
from notifier.adapters.ledger import SqlLedger
from notifier.adapters.lessons import SqlLessons
from notifier.adapters.outbox import SqlOutbox
from notifier.adapters.retention import SqlRetention
from notifier.adapters.spending import SqlHeld
from notifier.adapters.template_book import SqlTemplateBook
from notifier.adapters.unsettled_book import SqlUnsettledBook
from notifier.budget import WatchBudgets
from notifier.catalogue import load_catalogue
from notifier.connections import NoteConnection
from notifier.handlers import build_router
from notifier.intake import AT_ONCE, Intake
from notifier.learn import Learn
from notifier.persons import Persons
from notifier.plan_watch import WatchPlans
from notifier.rates import load_rates
from notifier.retention import KeepNoLonger
from notifier.senders_file import load_senders
from notifier.settings import NotifierSettings
from notifier.telemetry import Figures, OutboxLog, SenderLog, TemplateLog, UnsettledLog
from notifier.tell import TellChanges
from notifier.template_examples import check_templates
from notifier.unsettled import WatchUnsettled
from notifier.wiring import (
    Surroundings,
    confirm_stops,
    default_sender,
    further_senders,
    send_all,
    watch_accounts,
)
from shared.policy import DEFAULT_SENDER
from shared.policy_file import load_policy
from shared.runtime.database import answers, create_engine, is_to_blame, migrate
from shared.runtime.group_commit import GroupCommit
from shared.runtime.service import Core, Service


@asynccontextmanager
async def create_app(settings: NotifierSettings, core: Core) -> AsyncIterator[Service]:
    policy_file = Path(settings.policy_file)
    policy, catalogue = load_policy(policy_file), load_catalogue(policy_file)
    check_templates(policy, catalogue)
    rates = load_rates(policy_file)
    file = load_senders(settings.senders_file)
    file.check(policy, catalogue, settings.whatsapp_phone_number_id)
    engine = create_engine(settings.notifier_database_url.get_secret_value())
    async with AsyncExitStack() as opened:
        opened.push_async_callback(engine.dispose)
        parts = [default_sender(settings), *further_senders(settings, file)]
        for part in parts:
            opened.push_async_callback(part.client.aclose)
        await migrate(engine, "notifier")
        persons = Persons(settings.erasure_key) if settings.erasure_key else None
        await check_key(engine, persons)
        figures = Figures(core.registry)
        log = SenderLog(figures)
        tell = TellChanges(SqlOutbox(engine), core.events, clock=core.clock, log=OutboxLog(figures))
        around = Surroundings(engine, policy, catalogue, rates, core, log, new_reference, tell.wake, persons)
        senders, lookers = send_all(parts, around)
        confirm = confirm_stops(parts, around)

        def wake() -> None:
            for sender in senders.values():
                sender.wake()

        def wake_all() -> None:
            wake()
            tell.wake()

        templates = watch_accounts(parts, around, SqlTemplateBook(engine), wake, TemplateLog(figures))
        unsettled = WatchUnsettled(
            SqlUnsettledBook(engine), policy, clock=core.clock, wake=wake_all, log=UnsettledLog(figures)
        )
        ledger = SqlLedger(engine, parts[0].pace, rates=rates, persons=persons)
        budgets = WatchBudgets(SqlHeld(engine), ledger, policy, rates, clock=core.clock, wake=wake, log=log.over_budget)
        intake = Intake(ledger, policy, clock=core.clock, wake=wake, count=figures.count_decision)
        lessons = SqlLessons(engine, rates, persons)
        router = build_router(
            GroupCommit(intake.all_of, most=AT_ONCE),
            Learn(lessons, clock=core.clock, stopped=log.stopped, heard=log.heard),
            NoteConnection(ledger, clock=core.clock, wake=wake),
            templates,
            log,
            tell.wake,
        )

        retention = KeepNoLonger(SqlRetention(engine), policy, clock=core.clock, removed=figures.count_removed)

        plans = WatchPlans(SqlDayPlans(engine), policy, clock=core.clock, compared=figures.count_comparison)

        async def database() -> bool:
            return await answers(engine)

        yield Service(
            routers=[router],
            loops={
                **{f"sender{suffix(name)}": sender.run for name, sender in senders.items()},
                **{f"look-up{suffix(name)}": looker.run for name, looker in lookers.items()},
                "templates": templates.run,
                "unsettled": unsettled.run,
                "retention": retention.run,
                "plans": plans.run,
                "changes": tell.run,
                "confirmations": confirm.run,
                "budgets": budgets.run,
            },
            checks={"database": database},
            is_away=is_to_blame,
        )


def suffix(sender: str) -> str:
    """What tells a further sender's loop from the default one's."""
    return "" if sender == DEFAULT_SENDER else f"-{sender}"


def new_reference() -> str:
    """What comes back with every status of one attempt; tells nothing about anybody."""
    return f"v1.{secrets.token_urlsafe(18)}"
