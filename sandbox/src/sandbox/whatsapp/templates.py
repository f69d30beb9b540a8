"""Message templates: the preloaded ones, creation rules, and filling one with named parameters."""

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Self

from sandbox.whatsapp.graph import GraphRefusalError

VARIABLE = re.compile(r"\{\{\s*([a-z0-9_]+)\s*\}\}")
NAME = re.compile(r"[a-z0-9_]{1,512}")
MAX_BODY = 1024
CATEGORIES = {"UTILITY", "MARKETING", "AUTHENTICATION"}
CREATION_KEYS = {
    "name", "language", "category", "components", "parameter_format", "allow_category_change",
    "message_send_ttl_seconds",
}  # fmt: skip


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

    def as_json(self) -> dict[str, Any]:
        """As the template list shows it."""
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
            **({"message_send_ttl_seconds": self.ttl_seconds} if self.ttl_seconds else {}),
        }


@dataclass(slots=True)
class Templates:
    """All templates of the business account, by name and language."""

    known: dict[tuple[str, str], Template] = field(default_factory=dict)

    @classmethod
    def preloaded(cls) -> Self:
        """The approved templates that come with the sandbox."""
        text = files("sandbox.whatsapp").joinpath("templates.json").read_text(encoding="utf-8")
        templates = cls()
        for name, bodies in json.loads(text).items():
            for language, body in bodies.items():
                templates.put(Template(template_id(name, language), name, language, body))
        return templates

    def put(self, template: Template) -> None:
        """Add or replace one."""
        self.known[(template.name, template.language)] = template

    def sendable(self, name: str, language: str) -> Template:
        """The approved template; raises GraphRefusalError 132001, 132015 or 132016."""
        found = self.known.get((name, language))
        if found is None:
            raise GraphRefusalError(132001, f"template name ({name}) does not exist in {language}")
        if found.status != "APPROVED":
            code = {"PAUSED": 132015, "DISABLED": 132016}.get(found.status, 132001)
            raise GraphRefusalError(code, f"template name ({name}) in {language} is {found.status}")
        return found

    def create(self, asked: Mapping[str, Any]) -> Template:
        """A new template from a creation request, approved at once; raises GraphRefusalError 100."""
        unknown = set(asked) - CREATION_KEYS
        if unknown:
            raise GraphRefusalError(100, f"Unexpected key {sorted(unknown)[0]}")
        name, language, category = (str(asked.get(key, "")) for key in ("name", "language", "category"))
        parts: Sequence[dict[str, Any]] = asked.get("components") or []
        bodies = [item for item in parts if str(item.get("type", "")).upper() == "BODY"]
        if not NAME.fullmatch(name) or not re.fullmatch(r"[a-z]{2,3}(_[A-Z]{2})?", language):
            raise GraphRefusalError(
                100, "A name is lower case letters, digits and underscores; a language a code such as en"
            )
        if category.upper() not in CATEGORIES or len(bodies) != 1:
            raise GraphRefusalError(100, "A category and exactly one BODY component are required")
        if (name, language) in self.known:
            raise GraphRefusalError(100, "Content in this language already exists", subcode=2388024)
        form = str(asked.get("parameter_format", "positional")).upper()
        template = Template(
            template_id(name, language),
            name,
            language,
            _checked_body(bodies[0], form),
            category=category.upper(),
            parameter_format=form,
            extra=[
                {**item, "type": str(item.get("type", "")).upper()}
                for item in parts
                if str(item.get("type", "")).upper() != "BODY"
            ],
            ttl_seconds=asked.get("message_send_ttl_seconds"),
        )
        self.put(template)
        return template

    def delete(self, name: str) -> bool:
        """Remove a template in every language; whether there was one."""
        keys = [key for key in self.known if key[0] == name]
        for key in keys:
            del self.known[key]
        return bool(keys)


def template_id(name: str, language: str) -> str:
    """A lasting id made from name and language."""
    return str(3_000_000_000_000_000 + zlib.crc32(f"{name}/{language}".encode()))


def _checked_body(component: Mapping[str, Any], form: str) -> str:
    text = str(component.get("text", ""))
    variables = VARIABLE.findall(text)
    if not 0 < len(text) <= MAX_BODY:
        raise GraphRefusalError(100, f"A body has 1 to {MAX_BODY} characters")
    stripped = text.strip()
    if variables and (stripped.startswith("{{") or stripped.endswith("}}")):
        raise GraphRefusalError(100, "Variables cannot be at the start or end of the template", subcode=2388299)
    if form == "NAMED":
        examples = {item.get("param_name") for item in component.get("example", {}).get("body_text_named_params", [])}
        if set(variables) != examples:
            raise GraphRefusalError(100, "Every named variable needs an example in body_text_named_params")
    elif variables and (not component.get("example") or not all(name.isdigit() for name in variables)):
        raise GraphRefusalError(100, "Positional variables are numbers and need an example in body_text")
    return text
