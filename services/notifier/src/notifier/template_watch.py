"""Keeps what is known of the account's templates up to date, by asking for all of them and by its webhooks."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from notifier.account_templates import language_code, status_after, why_not_usable
from notifier.halts import in_language
from notifier.model import CLOCKS_DIFFER
from notifier.telemetry import TemplateLog
from notifier.template_ports import ManagementError, ManagesTemplates, TemplateBook, TemplateChange, TemplateNews
from shared.contracts.whatsapp import WhatsAppTemplateChangedV1
from shared.runtime.service import Stop

ASK_EVERY = timedelta(minutes=5)
"""Twelve of the 200 calls an hour that Meta grants an app and account, whatever the number of replicas."""
_SOON = timedelta(seconds=30)


class WatchTemplates:
    """``needed`` are the name and language of what messages may take; of these alone something is said in the log."""

    def __init__(
        self,
        account: str | None,
        management: ManagesTemplates,
        book: TemplateBook,
        needed: frozenset[tuple[str, str]],
        *,
        clock: Callable[[], datetime],
        wake: Callable[[], None],
        log: TemplateLog,
    ) -> None:
        self._account = account
        self._management = management
        self._book = book
        self._needed = needed
        self._clock = clock
        self._wake = wake
        self._log = log

    async def run(self, stop: Stop) -> None:
        """Ask every few minutes, sooner after a passing fault."""
        while not stop.is_set():
            answered = await self.ask()
            await stop.wait((ASK_EVERY if answered else _SOON).total_seconds())

    async def ask(self) -> bool:
        """Take in the account's whole list, unless another replica has just done so; False after a passing fault."""
        if self._account is None:
            self._log.unchecked("no_account_id")
            return True
        now = self._clock()
        last = await self._book.listed_at(self._account)
        if last is not None and -CLOCKS_DIFFER <= now - last < ASK_EVERY / 2:
            return True
        try:
            templates = await self._management.list()
        except ManagementError as error:
            if error.forbidden:
                await self._book.unlisted(self._account)
                self._log.unchecked(str(error))
            else:
                self._log.not_asked(str(error))
            return error.forbidden
        self._log.checked(len(templates))
        self._log.missing(sorted(self._needed - {template.key for template in templates}))
        changes = await self._book.listed(self._account, templates, now)
        # What is missing is in no change: the first list of all may still find messages that need not wait.
        await self._note(changes, first=last is None)
        return True

    async def __call__(self, event: WhatsAppTemplateChangedV1) -> None:
        """Take in what a webhook says; any order and any number of the same ends the same."""
        if self._account is None or event.account_id != self._account:
            return
        change = await self._book.heard(
            TemplateNews(
                account=event.account_id,
                name=event.name,
                language=language_code(event.language),
                happened_at=event.happened_at,
                status=status_after(event.status_event),
                category=event.category,
                quality=event.quality,
            )
        )
        if change is not None:
            await self._note([change])

    async def _note(self, changes: Sequence[TemplateChange], *, first: bool = False) -> None:
        usable: set[str] = set()
        for change in changes:
            before, now = why_not_usable(change.before), _why_not_now(change)
            if before != now and (change.name, change.language) in self._needed:
                self._log.changed(change.name, change.language, now)
            if now is None and change.before != change.now:
                usable.add(in_language(change.name, change.language))
        if (first or usable) and await self._book.look_again(usable, self._clock()):
            self._wake()


class WatchAccounts:
    """Watches several accounts, each by itself."""

    def __init__(self, accounts: Iterable[WatchTemplates]) -> None:
        self._accounts = tuple(accounts)

    async def run(self, stop: Stop) -> None:
        async with asyncio.TaskGroup() as group:
            for account in self._accounts:
                group.create_task(account.run(stop))

    async def __call__(self, event: WhatsAppTemplateChangedV1) -> None:
        """Whichever account the event is of takes it in."""
        for account in self._accounts:
            await account(event)


def _why_not_now(change: TemplateChange) -> str | None:
    return "template_missing" if change.now is None else why_not_usable(change.now)
