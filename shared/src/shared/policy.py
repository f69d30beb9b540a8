"""The policy file: who is told what, when and how often, for the whole installation and per organisation."""

from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from shared.errors import ConfigurationError

MINUTES_A_DAY = 24 * 60


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mode(StrEnum):
    LIVE = "live"
    APPROVAL = "approval"
    """Everything is held until a person releases it."""
    PREVIEW = "preview"
    """Everything is decided, nothing leaves."""


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _minute_of_day(value: object) -> object:
    if not isinstance(value, str):
        return value
    hours, colon, minutes = value.partition(":")
    if not (colon and hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2 and int(minutes) < 60):
        raise ValueError('must be a time such as "09:00"')
    return int(hours) * 60 + int(minutes)


def _time_of_day(value: object) -> object:
    minute = _minute_of_day(value)
    if not isinstance(minute, int):
        return minute
    if minute >= MINUTES_A_DAY:
        raise ValueError('must be a time between "00:00" and "23:59"')
    return time(*divmod(minute, 60))


MinuteOfDay = Annotated[int, BeforeValidator(_minute_of_day), Field(ge=0, le=MINUTES_A_DAY)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
TemplateName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,512}$")]


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
    """The most reminders one contact gets, over all invoices."""

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


_STAGES = (
    Stage(offset_days=-3, template="invoice_due_soon", lateness_days=2),
    Stage(offset_days=0, template="invoice_due_today", lateness_days=1),
    Stage(offset_days=3, template="invoice_overdue", lateness_days=3),
    Stage(offset_days=7, template="invoice_overdue", lateness_days=5),
    Stage(offset_days=14, template="invoice_overdue_firm", lateness_days=10),
    Stage(offset_days=30, template="invoice_overdue_final", lateness_days=36500),
)


class TenantPolicy(_Rules):
    """All rules of one organisation. ``stages`` are in order of offset, ``online_link`` shows Xero's page."""

    mode: Mode = Mode.LIVE
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$")
    alerts: Alerts = Alerts()
    stages: tuple[Stage, ...] = _STAGES
    online_link: bool = False
    contact_hours: ContactHours = ContactHours()
    caps: Caps = Caps()
    minimum_amount: Decimal = Field(default=Decimal(0), ge=0, allow_inf_nan=False)
    group_by_contact: bool = False
    exclude_contacts: tuple[str, ...] = ()
    scan_at: TimeOfDay = time(9, 0)
    brake: Brake = Brake()

    @field_validator("group_by_contact")
    @classmethod
    def _one_message_per_invoice(cls, grouped: bool) -> bool:
        if grouped:
            raise ValueError("statements are not available in this version; leave it false")
        return grouped

    @field_validator("stages")
    @classmethod
    def _one_stage_per_offset(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        if len({stage.offset_days for stage in stages}) != len(stages):
            raise ValueError("two stages have the same offset_days")
        return tuple(sorted(stages, key=lambda stage: stage.offset_days))

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


_Path = tuple[str | int, ...]


def load_policy(path: Path | str) -> Policy:
    """Read and check the file; keys it lacks keep their shipped values.

    Raises ConfigurationError with one line that names the file, the line and the key.
    """
    file = Path(path)
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: cannot be read ({type(error).__name__})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        said = getattr(error, "problem", None) or "unreadable"
        raise ConfigurationError(f"{file}:{line}: not YAML: {said}") from error
    return _Reader(file, root).policy()


class _Reader:
    """Turns the nodes of one file into a Policy and remembers the line of every key."""

    def __init__(self, file: Path, root: yaml.Node | None) -> None:
        self._file = file
        self._lines: dict[_Path, int] = {(): 1}
        self._data = {} if root is None else self._value(root, ())

    def policy(self) -> Policy:
        data, defaults = self._mapping(), self._mapping("defaults")
        tenants = {name: _merged(defaults, self._mapping("tenants", name)) for name in self._mapping("tenants")}
        try:
            return Policy.model_validate(data | {"defaults": defaults, "tenants": tenants})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise self._error(first["loc"], _said(first["type"], first["msg"])) from None

    def _mapping(self, *path: str) -> dict[str, Any]:
        value: Any = self._data
        for key in path:
            value = value.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._error(path, "must be a mapping of keys to values")
        return dict(value)

    def _error(self, path: _Path, said: str) -> ConfigurationError:
        candidates = [path, ("defaults", *path[2:])] if path[:1] == ("tenants",) else [path]
        known = next((place for place in candidates if place in self._lines), None)
        line = self._lines[known] if known else next(self._lines[p] for p in _shorter(path) if p in self._lines)
        return ConfigurationError(f"{self._file}:{line}: {'.'.join(map(str, known or path)) or 'policy'}: {said}")

    def _value(self, node: yaml.Node, path: _Path) -> Any:
        self._lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*path, index)) for index, child in enumerate(node.value)]
        # Texts are left to the models to read: YAML would make the number 1140 of an unquoted 19:00.
        return None if node.tag.endswith(":null") else node.value

    def _items(self, node: yaml.MappingNode, path: _Path) -> Iterator[tuple[str, Any]]:
        for key, value in node.value:
            place = (*path, str(key.value))
            if place in self._lines:
                raise ConfigurationError(f"{self._file}:{key.start_mark.line + 1}: {'.'.join(map(str, place))}: twice")
            self._lines[place] = key.start_mark.line + 1
            yield str(key.value), self._value(value, place)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def _shorter(path: _Path) -> Iterator[_Path]:
    return (path[:length] for length in range(len(path), -1, -1))


def _said(kind: str, message: str) -> str:
    plain = {"extra_forbidden": "unknown key", "model_type": "must be a mapping of keys to values"}
    return plain.get(kind, message.removeprefix("Value error, "))
