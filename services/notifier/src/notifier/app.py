"""The notifier, put together."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from notifier.adapters.confirmations import SqlConfirmations
from notifier.adapters.ledger import SqlLedger
from notifier.adapters.lessons import SqlLessons
from notifier.adapters.outbox import SqlOutbox
from notifier.adapters.spending import SqlHeld
from notifier.adapters.template_book import SqlTemplateBook
from notifier.adapters.whatsapp import WhatsAppProvider
from notifier.adapters.whatsapp_templates import WhatsAppTemplates
from notifier.budget import WatchBudgets
from notifier.catalogue import load_catalogue
from notifier.confirm import ConfirmStops
from notifier.connections import NoteConnection
from notifier.handlers import build_router
from notifier.intake import Intake
from notifier.last_look import LookLast
from notifier.learn import Learn
from notifier.ports import Pace
from notifier.rates import load_rates
from notifier.sender import Sender
from notifier.settings import NotifierSettings
from notifier.telemetry import Figures, OutboxLog, SenderLog, TemplateLog
from notifier.tell import TellChanges
from notifier.template_examples import check_templates, needed_by
from notifier.template_watch import WatchTemplates
from shared.policy_file import load_policy
from shared.runtime.database import answers, create_engine, migrate
from shared.runtime.http import create_http_client
from shared.runtime.service import Core, Service

DEADLINE_SECONDS = 15.0
"""For one POST to WhatsApp; well under the time after which its sender counts as gone."""


@asynccontextmanager
async def create_app(settings: NotifierSettings, core: Core) -> AsyncIterator[Service]:
    policy_file = Path(settings.policy_file)
    policy, catalogue = load_policy(policy_file), load_catalogue(policy_file)
    check_templates(policy, catalogue)
    rates = load_rates(policy_file)
    account = settings.whatsapp_business_account_id
    engine = create_engine(settings.notifier_database_url.get_secret_value())
    client = create_http_client(
        settings.whatsapp_api_url,
        timeout_seconds=DEADLINE_SECONDS,
        headers={"Authorization": f"Bearer {settings.whatsapp_access_token.get_secret_value()}"},
    )
    try:
        await migrate(engine, "notifier")
        figures = Figures(core.registry)
        log = SenderLog(figures)
        ledger = SqlLedger(engine, pace_of(settings), rates)
        tell = TellChanges(SqlOutbox(engine), core.events, clock=core.clock, log=OutboxLog(figures))
        path = f"/{settings.whatsapp_api_version}/{settings.whatsapp_phone_number_id}/messages"
        provider = WhatsAppProvider(client, path=path, deadline_seconds=DEADLINE_SECONDS)
        sender = Sender(
            ledger,
            LookLast(
                ledger, policy, catalogue, clock=core.clock, new_reference=new_reference, account=account, rates=rates
            ),
            provider,
            core.events,
            clock=core.clock,
            log=log,
            told=tell.wake,
        )
        templates = WatchTemplates(
            account,
            WhatsAppTemplates(client, version=settings.whatsapp_api_version, account=account or ""),
            SqlTemplateBook(engine),
            needed_by(policy, catalogue),
            clock=core.clock,
            wake=sender.wake,
            log=TemplateLog(figures),
        )
        confirm = ConfirmStops(
            SqlConfirmations(engine, pace_of(settings)),
            provider,
            policy,
            rates,
            clock=core.clock,
            attempted=log.confirmed,
        )
        budgets = WatchBudgets(
            SqlHeld(engine), ledger, policy, rates, clock=core.clock, wake=sender.wake, log=log.over_budget
        )
        router = build_router(
            Intake(ledger, policy, clock=core.clock, wake=sender.wake, count=figures.count_decision),
            Learn(SqlLessons(engine, rates), clock=core.clock, stopped=log.stopped, heard=log.heard),
            NoteConnection(ledger, clock=core.clock, wake=sender.wake),
            templates,
            log,
            tell.wake,
        )

        async def database() -> bool:
            return await answers(engine)

        yield Service(
            routers=[router],
            loops={
                "sender": sender.run,
                "templates": templates.run,
                "changes": tell.run,
                "confirmations": confirm.run,
                "budgets": budgets.run,
            },
            checks={"database": database},
        )
    finally:
        await client.aclose()
        await engine.dispose()


def pace_of(settings: NotifierSettings) -> Pace:
    """What the number may do."""
    return Pace(
        settings.whatsapp_phone_number_id,
        settings.whatsapp_messages_per_second,
        settings.whatsapp_recipients_per_day or None,
    )


def new_reference() -> str:
    """What comes back with every status of one attempt; tells nothing about anybody."""
    return f"v1.{secrets.token_urlsafe(18)}"
