"""The rules for what a template may say; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.whatsapp.graph import GraphRefusalError

VARIABLE = re.compile(r"\{\{\s*([a-z0-9_]+)\s*\}\}")
NAME = re.compile(r"[a-z0-9_]{1,512}")
LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")
MAX_BODY = 1024
MAX_HEADER = MAX_FOOTER = 60
MAX_LABEL = 25
MOST_BUTTONS = 10
MOST_OF_A_KIND = {"URL": 2, "PHONE_NUMBER": 1, "QUICK_REPLY": 10}
TTL_SECONDS = range(30, 43_201)
CATEGORIES = {"UTILITY", "MARKETING", "AUTHENTICATION"}
EDIT_KEYS = {"category", "components", "message_send_ttl_seconds", "parameter_format"}
CREATION_KEYS = EDIT_KEYS | {"name", "language", "allow_category_change"}


@dataclass(frozen=True, slots=True)
class Definition:
    """What a creation or an edit asks for; `extra` is all but the body."""

    body: str
    extra: list[dict[str, Any]]
    category: str
    parameter_format: str
    ttl_seconds: int | None
    name: str = ""
    language: str = ""


def read_definition(asked: Mapping[str, Any]) -> Definition:
    """A creation request; raises GraphRefusalError 100."""
    _only(asked, CREATION_KEYS)
    name, language = str(asked.get("name", "")), str(asked.get("language", ""))
    if not NAME.fullmatch(name) or not LANGUAGE.fullmatch(language):
        raise GraphRefusalError(
            100, "A name is lower case letters, digits and underscores; a language a code such as en"
        )
    if str(asked.get("category", "")).upper() not in CATEGORIES:
        raise GraphRefusalError(100, "A category and exactly one BODY component are required")
    return _read(asked, str(asked.get("parameter_format", "positional")).upper(), name, language)


def read_edit(asked: Mapping[str, Any], parameter_format: str) -> Definition:
    """An edit, which replaces all components; raises GraphRefusalError 100."""
    _only(asked, EDIT_KEYS)
    if str(asked.get("parameter_format", parameter_format)).upper() != parameter_format:
        raise GraphRefusalError(100, "The parameter format of a template cannot be edited")
    return _read(asked, parameter_format, "", "")


def _read(asked: Mapping[str, Any], form: str, name: str, language: str) -> Definition:
    parts = asked.get("components") or []
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise GraphRefusalError(100, "components must be an array of objects")
    bodies = [part for part in parts if _kind(part) == "BODY"]
    if len(bodies) != 1:
        raise GraphRefusalError(100, "A category and exactly one BODY component are required")
    extra = [{**part, "type": _kind(part)} for part in parts if _kind(part) != "BODY"]
    for part in extra:
        _check_part(part)
    ttl = asked.get("message_send_ttl_seconds")
    if ttl is not None and (not isinstance(ttl, int) or ttl not in TTL_SECONDS):
        raise GraphRefusalError(100, "message_send_ttl_seconds of a utility template is 30 to 43200")
    category = str(asked.get("category", "")).upper()
    return Definition(_checked_body(bodies[0], form), extra, category, form, ttl, name, language)


def _check_part(part: Mapping[str, Any]) -> None:
    kind, text = part["type"], str(part.get("text", ""))
    if kind == "BUTTONS":
        _check_buttons(part.get("buttons"))
    elif kind == "FOOTER":
        if not 0 < len(text) <= MAX_FOOTER or VARIABLE.search(text):
            raise GraphRefusalError(100, f"A footer has 1 to {MAX_FOOTER} characters and no variable")
    elif kind != "HEADER":
        raise GraphRefusalError(100, f"Unknown component type {kind}")
    elif len(text) > MAX_HEADER or len(VARIABLE.findall(text)) > 1:
        raise GraphRefusalError(100, f"A header has at most {MAX_HEADER} characters and one variable")


def _check_buttons(buttons: Any) -> None:
    if not isinstance(buttons, list) or not 0 < len(buttons) <= MOST_BUTTONS:
        raise GraphRefusalError(100, f"buttons is an array of 1 to {MOST_BUTTONS}")
    kinds = [str(button.get("type", "")).upper() for button in buttons]
    for kind in kinds:
        if kinds.count(kind) > MOST_OF_A_KIND.get(kind, 0):
            raise GraphRefusalError(100, f"Too many buttons of type {kind}, or a type that is not known")
    groups = [kind for position, kind in enumerate(kinds) if position == 0 or kinds[position - 1] != kind]
    if groups.count("QUICK_REPLY") > 1:
        raise GraphRefusalError(100, "Quick replies must stand together")
    if any(not 0 < len(str(button.get("text", ""))) <= MAX_LABEL for button in buttons):
        raise GraphRefusalError(100, f"A button's text has 1 to {MAX_LABEL} characters", subcode=2388040)


def _checked_body(component: Mapping[str, Any], form: str) -> str:
    text = str(component.get("text", ""))
    variables = VARIABLE.findall(text)
    if not 0 < len(text) <= MAX_BODY:
        raise GraphRefusalError(100, f"A body has 1 to {MAX_BODY} characters")
    if re.search(r"^\W*\{\{|\}\}\W*$", text):
        raise GraphRefusalError(100, "Variables cannot be at the start or end of the template", subcode=2388299)
    if re.search(r"\}\}\s*\{\{", text):
        raise GraphRefusalError(100, "Variables cannot stand next to each other", subcode=2388299)
    if variables and len(VARIABLE.sub(" ", text).split()) <= 2 * len(variables):
        raise GraphRefusalError(100, "This template has too many variables for its length", subcode=2388293)
    example = component.get("example") or {}
    if form == "NAMED":
        examples = {item.get("param_name"): item.get("example") for item in example.get("body_text_named_params", [])}
        if set(variables) != set(examples) or not all(examples.values()):
            raise GraphRefusalError(100, "Every named variable needs an example in body_text_named_params")
    elif variables and (not example or not all(name.isdigit() for name in variables)):
        raise GraphRefusalError(100, "Positional variables are numbers and need an example in body_text")
    return text


def _kind(part: Mapping[str, Any]) -> str:
    return str(part.get("type", "")).upper()


def _only(asked: Mapping[str, Any], keys: set[str]) -> None:
    unknown = set(asked) - keys
    if unknown:
        raise GraphRefusalError(100, f"Unexpected key {sorted(unknown)[0]}")
