"""The look at a message's template just before it would leave."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from notifier.account_templates import TemplateState, why_not_usable
from notifier.catalogue import Catalogue
from notifier.halts import OpenBreaker, closed_now
from notifier.model import Intent
from notifier.ports import TemplateMessage
from notifier.rendering import language_of, linked_form, template_name
from notifier.whatsapp_errors import Scope
from shared.contracts.invoices import Contact
from shared.policy import TenantPolicy

TEMPLATE_PATIENCE = timedelta(hours=3)
"""How long a message waits for its template before it is looked at again unasked; the shortest pause Meta gives one.

As soon as a template is usable again, what waits is looked at anyway, and one message tries its breaker.
"""


class KnowsTemplates(Protocol):
    async def template(self, account: str, name: str, language: str) -> TemplateState | None: ...
    async def breakers(self, template: str | None) -> Sequence[OpenBreaker]: ...


class TemplateCheck:
    """Without an ``account`` to ask nothing is known, and nothing is held back."""

    def __init__(self, catalogue: Catalogue, account: str | None) -> None:
        self._catalogue = catalogue
        self._account = account

    async def forms(
        self,
        book: KnowsTemplates,
        intent: Intent,
        contact: Contact,
        rules: TenantPolicy,
        now: datetime,
        *,
        name: str | None = None,
    ) -> tuple[Catalogue, str | None]:
        """The forms that the message may take, and why its form with a link is not among them.

        ``name`` is the template, where it is not that of the intent's kind and stage. The form with a link gives way
        for what the account says of it as for what WhatsApp answered to who took it.
        """
        plain = name or template_name(intent.kind, intent.stage, rules)
        linked = linked_form(plain, contact, rules, self._catalogue) if plain else None
        if plain is None or linked is None:
            return self._catalogue, None
        language = language_of(plain, contact, rules, self._catalogue)
        rule = await self._why_not(book, linked, language, self._catalogue.parameters(linked))
        if rule is None:
            stops = [item for item in await book.breakers(linked) if item.scope is Scope.TEMPLATE]
            rule = next((item.reason for item in closed_now(stops, now)), None)
        return (self._catalogue.without_links(), f"without_link_{rule}") if rule else (self._catalogue, None)

    async def why_not(self, book: KnowsTemplates, message: TemplateMessage) -> str | None:
        """The rule for which the message has to wait."""
        names = tuple(name for name, _ in message.parameters)
        return await self._why_not(book, message.template, message.language, names)

    async def _why_not(self, book: KnowsTemplates, name: str, language: str, parameters: tuple[str, ...]) -> str | None:
        if self._account is None:
            return None
        return why_not_usable(await book.template(self._account, name, language), parameters)
