"""What keeps messages back that are due: a person's switch, and breakers that errors opened."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifier.catalogue import LINK_SUFFIX
from notifier.provider_errors import remedy_of
from notifier.whatsapp_errors import Scope
from shared.policy import DEFAULT_SENDER

DAILY_RECIPIENTS = "daily_recipients"
"""The rule by which a message waits that would be to one person more than the number may write to in a day."""
EVERYTHING = "*"
"""The switch of the whole installation."""
ACCOUNT = "whatsapp"
"""The account of the default sender; another sender's is named as it is."""
LANGUAGE_MARK = "/"
"""Between a template's name and its language: WhatsApp judges each of them by itself."""
SENDER_MARK = "@"
"""Between a template and the sender that it is stopped for, where that is not the default one."""
PROBE_PATIENCE = timedelta(minutes=2)
"""How long a probe may stay without an end before another message tries."""
UNSURE_PROBE_PAUSE = timedelta(seconds=2)
"""The shortest pause after a probe of which nobody knows whether it got through."""
START_WITHIN = timedelta(seconds=2)
"""A claimed message whose POST has not begun by then is not posted: what a claim was told of switches is not older."""
CHECKED_WITHIN = timedelta(milliseconds=500)
"""The part of it that may pass before the provider is called."""
CONNECT_SECONDS = (START_WITHIN - CHECKED_WITHIN).total_seconds()
"""The part that is left for making a connection."""
SPACING = timedelta(seconds=6)
"""WhatsApp's pace for one recipient."""
CLAIM_SPACING = SPACING + START_WITHIN
"""Between two claims for one recipient, so that their POSTs are never closer than WhatsApp's pace."""


def account_of(sender: str) -> str:
    """The name under which everything is stopped that the sender's credentials send."""
    return ACCOUNT if sender == DEFAULT_SENDER else sender


def in_language(template: str, language: str) -> str:
    return f"{template}{LANGUAGE_MARK}{language}"


def is_linked(template: str) -> bool:
    """Whether the template, in a language or not, is a form with a link."""
    return template.partition(LANGUAGE_MARK)[0].endswith(LINK_SUFFIX)


def template_of(template: str, sender: str) -> str:
    """The name under which a template is stopped: of one sender, since another's account has its own."""
    return template if sender == DEFAULT_SENDER else f"{template}{SENDER_MARK}{sender}"


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """``name`` is the account's, number's, organisation's or template's; from ``probe_at`` one message may try.

    A template's without a language stops it in all of them.
    """

    scope: Scope
    name: str
    reason: str
    opened_at: datetime
    probe_at: datetime
    probe: str | None = None
    details: str | None = None

    @property
    def key(self) -> str:
        return f"{self.scope.value}:{self.name}"

    @property
    def remedy(self) -> str | None:
        return remedy_of(self.reason, self.scope)

    @property
    def shows_link(self) -> bool:
        """Whether it stops a form that has another beside it, whichever sender's."""
        return self.scope is Scope.TEMPLATE and is_linked(self.name.partition(SENDER_MARK)[0])

    def lets_probe(self, now: datetime) -> bool:
        return self.probe_at <= now

    def concerns(self, number: str, tenant_id: str, template: str | None, sender: str = DEFAULT_SENDER) -> bool:
        """Whether it stops what this number sends for the organisation, in this template and language."""
        if self.scope is Scope.TEMPLATE:
            return template is not None and self.stops_template(template) and not self.is_of_another(sender)
        named = {Scope.ACCOUNT: account_of(sender), Scope.NUMBER: number, Scope.TENANT: tenant_id}
        return self.name == named[self.scope]

    def stops_template(self, template: str) -> bool:
        """Whether it stops the template, whoever sends it; ``template`` is a name in a language."""
        stopped = self.name.partition(SENDER_MARK)[0]
        return self.scope is Scope.TEMPLATE and stopped in {template, template.partition(LANGUAGE_MARK)[0]}

    def is_of_another(self, sender: str) -> bool:
        """Whether it stops a template that only another sender sends."""
        own = "" if sender == DEFAULT_SENDER else sender
        return self.scope is Scope.TEMPLATE and self.name.partition(SENDER_MARK)[2] != own


@dataclass(frozen=True, slots=True)
class Switch:
    """A pause that a person ordered: of one organisation, or of everything."""

    scope: str
    said_by: str
    said_at: datetime


@dataclass(frozen=True, slots=True)
class Halts:
    """Everything that stands in the way of messages now."""

    switches: tuple[Switch, ...] = ()
    breakers: tuple[OpenBreaker, ...] = ()

    @property
    def all_paused(self) -> bool:
        return any(switch.scope == EVERYTHING for switch in self.switches)

    @property
    def paused_tenants(self) -> frozenset[str]:
        return frozenset(switch.scope for switch in self.switches)

    def is_paused(self, tenant_id: str) -> bool:
        return self.all_paused or tenant_id in self.paused_tenants

    def of_sender(self, number: str, sender: str = DEFAULT_SENDER) -> list[OpenBreaker]:
        """The breakers that stop everything the number sends."""
        senders = {Scope.ACCOUNT: account_of(sender), Scope.NUMBER: number}
        return [item for item in self.breakers if senders.get(item.scope) == item.name]

    def of(self, scope: Scope) -> list[OpenBreaker]:
        return [item for item in self.breakers if item.scope is scope]


def after_unsure_probe(opened_at: datetime, now: datetime) -> datetime:
    """When the next message tries, if nobody knows what became of the last: ever less often while it stays like that.

    Such a probe may have cost a message, so that its pause doubles; but it has an end, and need not be waited for.
    """
    return now + min(max(now - opened_at, UNSURE_PROBE_PAUSE), PROBE_PATIENCE)


def closed_now(breakers: Iterable[OpenBreaker], now: datetime) -> list[OpenBreaker]:
    """Those through which not even a probe may go yet."""
    return [item for item in breakers if not item.lets_probe(now)]
