"""What the care for templates needs of the world: an account that keeps them and a book that remembers what it said."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from notifier.account_templates import AccountTemplate, TemplateState


class ManagementError(Exception):
    """The account did not do as asked. ``forbidden``: it will not answer until somebody changes a right or an id."""

    def __init__(self, reason: str, details: str = "", *, forbidden: bool = False, whole_account: bool = False) -> None:
        """``details`` are Meta's words for a person; ``whole_account``: the next call would fare no better."""
        super().__init__(f"{reason}: {details}" if details else reason)
        self.reason = reason
        self.forbidden = forbidden
        self.whole_account = whole_account or forbidden


class ManagesTemplates(Protocol):
    """The business account's templates; every call raises ManagementError when it is refused or not answered."""

    async def list(self) -> Sequence[AccountTemplate]: ...

    async def create(self, definition: Mapping[str, object]) -> TemplateState:
        """A new template in one language; the status and category it was given."""

    async def edit(self, template_id: str, definition: Mapping[str, object]) -> None: ...


@dataclass(frozen=True, slots=True)
class TemplateNews:
    """One webhook about one template in one language; None stands for what it does not tell."""

    account: str
    name: str
    language: str
    happened_at: datetime
    status: str | None = None
    category: str | None = None
    quality: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateChange:
    """What was known of a template before and is known now; None stands for nothing."""

    name: str
    language: str
    before: TemplateState | None
    now: TemplateState | None


class TemplateBook(Protocol):
    """What is known of business accounts' templates, shared by all replicas."""

    async def listed_at(self, account: str) -> datetime | None:
        """When the account was last asked for all of them; None when it does not answer that."""

    async def listed(
        self, account: str, templates: Sequence[AccountTemplate], asked_at: datetime
    ) -> Sequence[TemplateChange]:
        """Take the whole list in; what a webhook told since ``asked_at`` is newer and stays."""

    async def unlisted(self, account: str) -> None:
        """The account may not be asked any more: only what webhooks told is kept."""

    async def heard(self, news: TemplateNews) -> TemplateChange | None:
        """Take one webhook in; None when it is older than what is known."""

    async def look_again(self, usable: Collection[str], now: datetime) -> int:
        """Let the messages that wait for a template be looked at now; how many.

        What stopped the ``usable`` templates, each a name in a language, lets one message try.
        """
