"""Every sender put together: its provider, its view of the ledger, its loop and what settles its unknown messages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters.confirmations import SqlConfirmations
from notifier.adapters.doubts import SqlDoubts
from notifier.adapters.ledger import SqlLedger
from notifier.adapters.template_book import SqlTemplateBook
from notifier.adapters.twilio import Content, TwilioProvider
from notifier.adapters.whatsapp import WhatsAppProvider
from notifier.adapters.whatsapp_templates import WhatsAppTemplates
from notifier.catalogue import Catalogue
from notifier.confirm import ConfirmStops, Line
from notifier.confirm_ports import SendsTexts
from notifier.last_look import LookLast
from notifier.look_up import LookUp
from notifier.persons import Persons
from notifier.ports import Pace
from notifier.provider_errors import META, TWILIO
from notifier.providers import Provider
from notifier.rates import Rates
from notifier.sender import Sender
from notifier.senders import share_of
from notifier.senders_file import MetaSender, SendersFile, TwilioSender
from notifier.settings import NotifierSettings
from notifier.telemetry import HaltWatch, SenderLog, TemplateLog
from notifier.template_examples import needed_by
from notifier.template_watch import WatchAccounts, WatchTemplates
from shared.errors import ConfigurationError
from shared.policy import DEFAULT_SENDER, Policy
from shared.runtime.http import create_http_client
from shared.runtime.service import Core

DEADLINE_SECONDS = 15.0
"""For one POST; well under the time after which its sender counts as gone."""


@dataclass(frozen=True, slots=True)
class Part:
    """One sender: ``account`` is its WhatsApp Business Account, None where its templates cannot be listed.

    ``texts`` sends free text, None where the provider cannot.
    """

    pace: Pace
    client: httpx.AsyncClient
    provider: Provider
    account: str | None
    api_version: str = ""
    texts: SendsTexts | None = None

    @property
    def name(self) -> str:
        return self.pace.sender


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all senders share. ``told`` says that the outbox holds something new."""

    engine: AsyncEngine
    policy: Policy
    catalogue: Catalogue
    rates: Rates
    core: Core
    log: SenderLog
    new_reference: Callable[[], str]
    told: Callable[[], None]
    persons: Persons | None = None


def default_sender(settings: NotifierSettings) -> Part:
    """The one that the environment's variables describe."""
    entry = MetaSender(
        provider=META,
        phone_number_id=settings.whatsapp_phone_number_id,
        api_url=settings.whatsapp_api_url,
        api_version=settings.whatsapp_api_version,
        business_account_id=settings.whatsapp_business_account_id,
        messages_per_second=settings.whatsapp_messages_per_second,
        recipients_per_day=settings.whatsapp_recipients_per_day,
    )
    return _with_meta(DEFAULT_SENDER, entry, settings.whatsapp_access_token.get_secret_value())


def further_senders(settings: NotifierSettings, file: SendersFile) -> Sequence[Part]:
    """Those of the file. Raises ConfigurationError for one without its secret, or without Twilio's webhook address."""
    parts = []
    for name, entry in file.entries.items():
        secret = settings.sender_secrets.get(name)
        if secret is None:
            raise ConfigurationError(f"DUEBELL_SENDER_SECRETS has nothing for the sender {name}")
        if isinstance(entry, MetaSender):
            parts.append(_with_meta(name, entry, secret.get_secret_value()))
            continue
        if settings.twilio_webhook_url is None:
            raise ConfigurationError(f"DUEBELL_TWILIO_WEBHOOK_URL is missing: the sender {name} is Twilio's")
        parts.append(_with_twilio(name, entry, secret.get_secret_value(), settings.twilio_webhook_url))
    if unknown := sorted(settings.sender_secrets.keys() - file.entries.keys()):
        raise ConfigurationError(f"DUEBELL_SENDER_SECRETS: DUEBELL_SENDERS_FILE has no sender {unknown[0]}")
    return parts


def _with_meta(name: str, entry: MetaSender, token: str) -> Part:
    client = create_http_client(
        entry.api_url, timeout_seconds=DEADLINE_SECONDS, headers={"Authorization": f"Bearer {token}"}
    )
    path = f"/{entry.api_version}/{entry.phone_number_id}/messages"
    provider = WhatsAppProvider(client, path=path, deadline_seconds=DEADLINE_SECONDS)
    return Part(_pace(name, entry), client, provider, entry.business_account_id, entry.api_version, provider)


def _with_twilio(name: str, entry: TwilioSender, secret: str, callback_url: str) -> Part:
    client = create_http_client(entry.api_url, timeout_seconds=DEADLINE_SECONDS)
    client.auth = httpx.BasicAuth(entry.api_key_sid or entry.account_sid, secret)
    provider = TwilioProvider(
        client,
        account_sid=entry.account_sid,
        number=entry.number,
        contents=_contents(entry),
        callback_url=callback_url,
        deadline_seconds=DEADLINE_SECONDS,
    )
    return Part(_pace(name, entry), client, provider, None)


def _contents(entry: TwilioSender) -> dict[tuple[str, str], Content]:
    return {
        (template, language): Content(content.content_sid, content.variables)
        for template, languages in entry.templates.items()
        for language, content in languages.items()
    }


def _pace(name: str, entry: MetaSender | TwilioSender) -> Pace:
    """What the number may do."""
    provider = META if isinstance(entry, MetaSender) else TWILIO
    return Pace(entry.number, entry.messages_per_second, entry.recipients_per_day or None, name, provider)


def send_all(parts: Sequence[Part], around: Surroundings) -> tuple[Mapping[str, Sender], Mapping[str, LookUp]]:
    """A loop of its own for each sender, so that one that is slow, stopped or broken holds up no other's messages."""
    watch = HaltWatch(around.log)
    names = frozenset(part.name for part in parts)
    senders, lookers = {}, {}
    for part in parts:
        share = share_of(part.name, around.policy, names)
        ledger = SqlLedger(around.engine, part.pace, share, rates=around.rates, persons=around.persons)
        look_last = LookLast(
            ledger,
            around.policy,
            around.catalogue,
            clock=around.core.clock,
            new_reference=around.new_reference,
            account=part.account if part.provider.capabilities.account_templates else None,
            rates=around.rates,
        )
        senders[part.name] = Sender(
            ledger,
            look_last,
            part.provider,
            around.core.events,
            clock=around.core.clock,
            log=around.log,
            told=around.told,
            watch=watch,
        )
        if part.provider.capabilities.look_up:
            lookers[part.name] = LookUp(
                SqlDoubts(around.engine, part.name),
                ledger,
                part.provider,
                clock=around.core.clock,
                log=around.log,
                told=around.told,
            )
    return senders, lookers


def confirm_stops(parts: Sequence[Part], around: Surroundings) -> ConfirmStops:
    """Each organisation's answers go by its own sender, where that sends free text."""
    return ConfirmStops(
        SqlConfirmations(around.engine),
        {part.name: Line(part.pace, part.texts) for part in parts if part.texts is not None},
        around.policy,
        around.rates,
        clock=around.core.clock,
        attempted=around.log.confirmed,
    )


def watch_accounts(
    parts: Sequence[Part],
    around: Surroundings,
    book: SqlTemplateBook,
    wake: Callable[[], None],
    log: TemplateLog,
) -> WatchAccounts:
    """The default sender's account, known or not, and each further one that lists its templates; each once."""
    listing = [part for part in parts if part.provider.capabilities.account_templates]
    of_accounts = {part.account: part for part in reversed(listing) if part.account or part.name == DEFAULT_SENDER}
    return WatchAccounts(
        WatchTemplates(
            account,
            WhatsAppTemplates(part.client, version=part.api_version, account=account or ""),
            book,
            frozenset().union(
                *(
                    needed_by(around.policy, around.catalogue, other.name)
                    for other in listing
                    if other.account == account
                )
            ),
            clock=around.core.clock,
            wake=wake,
            log=log,
        )
        for account, part in of_accounts.items()
    )
