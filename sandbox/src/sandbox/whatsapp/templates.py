"""Message templates: the preloaded ones, how often they may be made and edited, and filling one with parameters."""

import json
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, Self

from sandbox.whatsapp.definitions import MAX_BODY, VARIABLE, Definition, read_definition, read_edit
from sandbox.whatsapp.graph import GraphRefusalError

CREATIONS_PER_HOUR = 100
EDITS_PER_DAY = 1
EDITS_PER_MONTH = 10
NAME_BLOCKED = timedelta(days=30)
EDITABLE = {"APPROVED", "REJECTED", "PAUSED"}


@dataclass(slots=True)
class Template:
    """One template in one language; only an APPROVED one can be sent."""

    id: str
    name: str
    language: str
    body: str
    status: str = "APPROVED"
    category: str = "UTILITY"
    parameter_format: str = "NAMED"
    extra: list[dict[str, Any]] = field(default_factory=list)
    ttl_seconds: int | None = None
    quality: str = "UNKNOWN"
    previous_category: str | None = None
    rejected_reason: str = "NONE"
    edits: list[datetime] = field(default_factory=list)

    @property
    def variables(self) -> list[str]:
        """The body's variables in order of appearance."""
        return list(dict.fromkeys(VARIABLE.findall(self.body)))

    @property
    def header(self) -> str | None:
        """The header's format (TEXT, IMAGE, DOCUMENT), if it has one."""
        return next((item.get("format") for item in self.extra if item.get("type") == "HEADER"), None)

    @property
    def buttons(self) -> list[dict[str, Any]]:
        """The buttons in order."""
        return next((item.get("buttons", []) for item in self.extra if item.get("type") == "BUTTONS"), [])

    def fill(self, values: Mapping[str, str]) -> str:
        """The body with its variables replaced; raises GraphRefusalError 132005 above 1024 characters."""
        text = VARIABLE.sub(lambda match: values[match.group(1)], self.body)
        if len(text) > MAX_BODY:
            raise GraphRefusalError(132005, f"Body text length {len(text)} exceeds {MAX_BODY}")
        return text

    def take(self, definition: Definition) -> None:
        """Say from now on what `definition` says."""
        self.body, self.extra = definition.body, definition.extra
        self.ttl_seconds = definition.ttl_seconds or self.ttl_seconds

    def as_json(self) -> dict[str, Any]:
        """All fields that may be asked for; the list shows SHOWN of them unasked."""
        example = {"body_text_named_params": [{"param_name": name, "example": name} for name in self.variables]}
        body: dict[str, Any] = {"type": "BODY", "text": self.body}
        return {
            "id": self.id,
            "name": self.name,
            "language": self.language,
            "status": self.status,
            "category": self.category,
            "parameter_format": self.parameter_format,
            "components": [*self.extra, body | ({"example": example} if self.variables else {})],
            "quality_score": {"score": self.quality, "date": 0},
            "rejected_reason": self.rejected_reason,
            **({"previous_category": self.previous_category} if self.previous_category else {}),
            **({"message_send_ttl_seconds": self.ttl_seconds} if self.ttl_seconds else {}),
        }


FIELDS = {
    "id", "name", "language", "status", "category", "parameter_format", "components", "quality_score",
    "rejected_reason", "previous_category", "message_send_ttl_seconds", "health_status",
}  # fmt: skip
SHOWN = FIELDS - {"quality_score", "rejected_reason", "health_status"}


@dataclass(slots=True)
class Templates:
    """All templates of the business account, by name and language."""

    clock: Callable[[], datetime]
    known: dict[tuple[str, str], Template] = field(default_factory=dict)
    creations: deque[datetime] = field(default_factory=deque)
    blocked: dict[str, datetime] = field(default_factory=dict)

    @classmethod
    def preloaded(cls, clock: Callable[[], datetime]) -> Self:
        """The approved templates that come with the sandbox."""
        text = files("sandbox.whatsapp").joinpath("templates.json").read_text(encoding="utf-8")
        templates = cls(clock)
        for name, bodies in json.loads(text).items():
            for language, body in bodies.items():
                templates.put(Template(template_id(name, language), name, language, body))
        return templates

    def put(self, template: Template) -> None:
        """Add or replace one."""
        self.known[(template.name, template.language)] = template

    def with_id(self, wanted: str) -> Template | None:
        """The template of this id."""
        return next((template for template in self.known.values() if template.id == wanted), None)

    def sendable(self, name: str, language: str) -> Template:
        """The approved template; raises GraphRefusalError 132001, 132015 or 132016."""
        found = self.known.get((name, language))
        if found is None:
            raise GraphRefusalError(132001, f"template name ({name}) does not exist in {language}")
        if found.status != "APPROVED":
            code = {"PAUSED": 132015, "DISABLED": 132016}.get(found.status, 132001)
            raise GraphRefusalError(code, f"template name ({name}) in {language} is {found.status}")
        return found

    def create(self, asked: Mapping[str, Any], status: str) -> Template:
        """A new template from a creation request, in `status`; raises GraphRefusalError 100 or 80007."""
        now = self.clock()
        definition = read_definition(asked)
        name, language = definition.name, definition.language
        if (name, language) in self.known:
            raise GraphRefusalError(100, "Content in this language already exists", subcode=2388024)
        if name in self.blocked and now - self.blocked[name] < NAME_BLOCKED:
            raise GraphRefusalError(100, "The name of a deleted template is blocked for 30 days", subcode=2388023)
        while self.creations and self.creations[0] <= now - timedelta(hours=1):
            self.creations.popleft()
        if len(self.creations) >= CREATIONS_PER_HOUR:
            raise GraphRefusalError(80007, f"More than {CREATIONS_PER_HOUR} templates within an hour")
        self.creations.append(now)
        template = Template(
            template_id(name, language),
            name,
            language,
            definition.body,
            status=status,
            category=definition.category,
            parameter_format=definition.parameter_format,
            extra=definition.extra,
            ttl_seconds=definition.ttl_seconds,
        )
        self.put(template)
        return template

    def edit(self, template: Template, asked: Mapping[str, Any], status: str) -> None:
        """Change the content; an approved one stays approved meanwhile, another goes to `status`.

        Raises GraphRefusalError 100: in review, too often, or the category of an approved one.
        """
        now = self.clock()
        if template.status not in EDITABLE:
            raise GraphRefusalError(100, f"A template that is {template.status} cannot be edited")
        definition = read_edit(asked, template.parameter_format)
        approved = template.status == "APPROVED"
        if approved and asked.get("category", template.category) != template.category:
            raise GraphRefusalError(100, "The category of an approved template cannot be edited")
        if approved:
            template.edits = [edit for edit in template.edits if edit > now - timedelta(days=30)]
            today = [edit for edit in template.edits if edit > now - timedelta(days=1)]
            if len(today) >= EDITS_PER_DAY or len(template.edits) >= EDITS_PER_MONTH:
                raise GraphRefusalError(100, "An approved template is edited once in 24 hours and 10 times in 30 days")
            template.edits.append(now)
        else:
            template.category, template.status = asked.get("category", template.category), status
        template.take(definition)

    def delete(self, name: str, wanted_id: str | None = None) -> bool:
        """Remove a template in every language, or the one of an id; whether there was one."""
        keys = [key for key, found in self.known.items() if key[0] == name and wanted_id in {None, found.id}]
        for key in keys:
            del self.known[key]
        if keys and not any(key[0] == name for key in self.known):
            self.blocked[name] = self.clock()
        return bool(keys)


def template_id(name: str, language: str) -> str:
    """A lasting id made from name and language."""
    return str(3_000_000_000_000_000 + zlib.crc32(f"{name}/{language}".encode()))
