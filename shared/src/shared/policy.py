"""The policy: who is told what, when and how often, for the whole installation and per organisation."""

from datetime import date, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from shared.times_of_day import MinuteOfDay, TimeOfDay


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mode(StrEnum):
    LIVE = "live"
    APPROVAL = "approval"
    """Everything is held until a person releases it."""
    PREVIEW = "preview"
    """Everything is decided, nothing leaves."""


class CatchUp(StrEnum):
    """What becomes of a daily scan that was missed; one scan serves, however many days were."""

    SAME_DAY = "same_day"
    """It is made up for until the organisation's day ends; then the next day's serves."""
    AT_ONCE = "at_once"
    """It is made up for whenever that is possible again, also after midnight."""
    NEVER = "never"
    """The next one serves."""


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def plain_name(name: str) -> str:
    """A name as it is compared: capitals and spacing make no difference."""
    return " ".join(name.split()).casefold()


Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
DEFAULT_SENDER = "default"
"""The sender that the environment's variables describe, and that everybody uses who names no other."""
SenderName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,30}$")]
TemplateName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,512}$")]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$")]


class Alerts(_Rules):
    """``max_age_days``: an event older than this alerts nobody."""

    issued: bool = True
    paid: bool = False
    max_age_days: int = Field(default=7, ge=0)


class Stage(_Rules):
    """A reminder ``offset_days`` from the due date, which may still leave up to ``lateness_days`` later."""

    offset_days: int = Field(ge=-3650, le=3650)
    template: TemplateName
    lateness_days: int = Field(ge=0, le=36500)


class ContactHours(_Rules):
    """When a person may be written to, in that person's zone; ``start`` and ``end`` are minutes after midnight."""

    start: MinuteOfDay = 9 * 60
    end: MinuteOfDay = 19 * 60
    days: tuple[Weekday, ...] = Field(default=("mon", "tue", "wed", "thu", "fri", "sat"), min_length=1)
    holidays: bool = True

    @model_validator(mode="after")
    def _open_at_some_time(self) -> "ContactHours":
        if self.start >= self.end:
            raise ValueError("start must be earlier than end")
        return self


class Caps(_Rules):
    """The most reminders one person gets of one organisation in any 7 and any 31 days, over all invoices."""

    per_contact_per_week: int = Field(default=3, ge=0)
    per_contact_per_month: int = Field(default=10, ge=0)


class Brake(_Rules):
    """An unusual wave is held: so many in any hour, or the invoices already overdue on the day of connecting.

    Unusual is what exceeds ``usual_times`` the organisation's own busiest hour of the last four weeks and is more than
    ``usual_floor``; and always what exceeds the caps. ``usual_times: 0`` leaves floor and caps.
    """

    usual_times: int = Field(default=3, ge=0)
    usual_floor: int = Field(default=100, ge=0)
    per_tenant_per_hour: int = Field(default=200, ge=1)
    per_installation_per_hour: int = Field(default=5000, ge=1)
    hold_back_book: bool = True


class Retention(_Rules):
    """How many days what is over is kept. What the ledger needs lest it say something twice is kept for good."""

    settled_snapshots_days: int = Field(default=400, ge=62, le=36500)
    attempts_days: int = Field(default=400, ge=62, le=36500)
    decisions_days: int = Field(default=400, ge=62, le=36500)
    plans_days: int = Field(default=62, ge=2, le=36500)


_STAGES = (
    Stage(offset_days=-3, template="invoice_due_soon", lateness_days=2),
    Stage(offset_days=0, template="invoice_due_today", lateness_days=1),
    Stage(offset_days=3, template="invoice_overdue", lateness_days=3),
    Stage(offset_days=7, template="invoice_overdue", lateness_days=5),
    Stage(offset_days=14, template="invoice_overdue_firm", lateness_days=10),
    Stage(offset_days=30, template="invoice_overdue_final", lateness_days=36500),
)


class TenantPolicy(_Rules):
    """All rules of one organisation. ``stages`` are in order of offset, ``online_link`` shows Xero's page.

    ``sender`` is one of the senders file. ``languages`` is by contact. A contact is named by its id or its name, a
    group likewise, in capitals or not. ``group_by_contact`` makes one statement of a contact's overdue invoices that
    would be reminded of at the same time. ``resend_unsettled_alerts``: a first alert whose end nobody knows is sent
    once more, when statuses of later messages say that its own should have come. ``monthly_budget`` is of what WhatsApp
    bills, in ``billing_currency``; None is no budget. A person who answered gets no reminders for ``reply_pause_days``.
    """

    mode: Mode = Mode.LIVE
    sender: SenderName = DEFAULT_SENDER
    language: Language = "en"
    languages: dict[str, Language] = Field(default_factory=dict)
    alerts: Alerts = Alerts()
    stages: tuple[Stage, ...] = _STAGES
    online_link: bool = False
    contact_hours: ContactHours = ContactHours()
    caps: Caps = Caps()
    minimum_amount: Decimal = Field(default=Decimal(0), ge=0, allow_inf_nan=False)
    group_by_contact: bool = False
    exclude_contacts: tuple[str, ...] = ()
    exclude_groups: tuple[str, ...] = ()
    scan_at: TimeOfDay = time(9, 0)
    scan_spread_minutes: int = Field(default=30, ge=0, le=240)
    scan_catch_up: CatchUp = CatchUp.SAME_DAY
    resend_unsettled_alerts: bool = False
    brake: Brake = Brake()
    retention: Retention = Retention()
    monthly_budget: Decimal | None = Field(default=None, ge=0, allow_inf_nan=False)
    billing_currency: Currency = "INR"
    reply_pause_days: int = Field(default=0, ge=0, le=365)
    confirm_stop: bool = True

    @field_validator("stages")
    @classmethod
    def _one_stage_per_offset(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        if len({stage.offset_days for stage in stages}) != len(stages):
            raise ValueError("two stages have the same offset_days")
        return tuple(sorted(stages, key=lambda stage: stage.offset_days))

    def language_of(self, *names: str) -> str:
        """The language of the contact that has these names, its id among them."""
        wanted = {plain_name(name): language for name, language in self.languages.items()}
        return next((wanted[plain] for plain in map(plain_name, names) if plain in wanted), self.language)

    @property
    def farthest_offset_days(self) -> int:
        """How many days before its due date an invoice first matters; 0 when all stages are on or after it."""
        return max((-stage.offset_days for stage in self.stages if stage.offset_days < 0), default=0)

    def due_before(self, local_date: date) -> date:
        """The first due date (exclusive bound) that matters to no stage on ``local_date``."""
        return local_date + timedelta(days=self.farthest_offset_days + 1)


class Policy(_Rules):
    """The whole file, with every organisation's overrides already merged over the defaults."""

    version: int = Field(default=1, ge=1, le=1)
    defaults: TenantPolicy = TenantPolicy()
    tenants: dict[str, TenantPolicy] = Field(default_factory=dict)

    def for_tenant(self, tenant_id: str) -> TenantPolicy:
        """The rules of this organisation: its own, or the defaults."""
        return self.tenants.get(tenant_id, self.defaults)
