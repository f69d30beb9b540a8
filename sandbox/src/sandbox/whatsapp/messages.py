"""The rules by which the Cloud API takes or refuses a message; pure except for the state handed in."""

import re
from collections.abc import Mapping
from typing import Any

from sandbox.settings import Settings
from sandbox.whatsapp.graph import GraphRefusalError
from sandbox.whatsapp.outbox import Message, Outbox, new_wamid
from sandbox.whatsapp.templates import Template, Templates

E164 = re.compile(r"\+[1-9]\d{6,14}")
MESSAGE_KEYS = {"messaging_product", "recipient_type", "to", "type", "biz_opaque_callback_data", "context"}
MAX_REFERENCE = 512
Json = Mapping[str, Any]


def accept(body: Any, outbox: Outbox, templates: Templates, settings: Settings) -> Message:
    """Check a send request in full and return the message it makes; raises GraphRefusalError."""
    asked = _object(body, "the request body")
    if asked.get("messaging_product") != "whatsapp":
        raise GraphRefusalError(100, "The parameter messaging_product is required and must be whatsapp")
    kind = asked.get("type", "text")
    if kind not in {"template", "text"}:
        raise GraphRefusalError(131051, f"Message type {kind} is not supported")
    _only(asked, MESSAGE_KEYS | {kind}, "")
    if asked.get("recipient_type") != "individual":
        raise GraphRefusalError(100, "recipient_type must be individual")
    number = _number(asked, settings)
    reference = asked.get("biz_opaque_callback_data")
    if reference is not None and (not isinstance(reference, str) or len(reference) > MAX_REFERENCE):
        raise GraphRefusalError(100, f"biz_opaque_callback_data is a string of at most {MAX_REFERENCE} characters")
    if kind not in asked:
        raise GraphRefusalError(131008, f"Parameter '{kind}' is mandatory for type '{kind}'")
    now = outbox.clock()
    if kind == "text":
        message = Message(new_wamid(number), number, _text(_object(asked["text"], "text")), now, reference=reference)
        if not outbox.window_open(number):
            raise GraphRefusalError(131047, "More than 24 hours have passed since the recipient last replied")
    else:
        message = _template_message(_object(asked["template"], "template"), number, reference, outbox, templates)
    outbox.pace(number, settings)
    return message


def _template_message(asked: Json, number: str, reference: str | None, outbox: Outbox, templates: Templates) -> Message:
    _only(asked, {"name", "language", "components"}, "template")
    language = _object(_needed(asked, "language", "template"), "template['language']")
    _only(language, {"code", "policy"}, "template['language']")
    name, code = str(_needed(asked, "name", "template")), str(_needed(language, "code", "template['language']"))
    template = templates.sendable(name, code)
    values: dict[str, str] = {}
    seen: list[str] = []
    components = asked.get("components", [])
    if not isinstance(components, list):
        raise GraphRefusalError(100, "template['components'] must be an array")
    for item in components:
        component = _object(item, "template['components'][]")
        kind = component.get("type")
        seen.append(f"{kind}{component.get('index', '')}")
        if kind == "body":
            values = _body_values(component, template)
        elif kind == "header":
            _check_header(component, template, outbox)
        elif kind == "button":
            _check_button(component, template)
        else:
            raise GraphRefusalError(100, f"Unknown component type {kind}")
    if len(seen) != len(set(seen)):
        raise GraphRefusalError(132012, "A component appears twice")
    if set(template.variables) != set(values):
        raise GraphRefusalError(
            132000,
            f"body: number of localizable_params ({len(values)}) does not match the expected number of params "
            f"({len(template.variables)})",
        )
    if template.header in {"IMAGE", "DOCUMENT"} and "header" not in seen:
        raise GraphRefusalError(132012, "header: Format mismatch, expected a media header")
    return Message(
        new_wamid(number),
        number,
        template.fill(values),
        outbox.clock(),
        template=name,
        language=code,
        parameters=values,
        reference=reference,
    )


def _body_values(component: Json, template: Template) -> dict[str, str]:
    _only(component, {"type", "parameters"}, "body")
    parameters = component.get("parameters")
    if not isinstance(parameters, list):
        raise GraphRefusalError(100, "body: parameters must be an array")
    expected = template.variables
    if len(parameters) != len(expected):
        raise GraphRefusalError(
            132000,
            f"body: number of localizable_params ({len(parameters)}) does not match the expected number of params "
            f"({len(expected)})",
        )
    values: dict[str, str] = {}
    for position, item in enumerate(parameters):
        parameter = _object(item, "body parameter")
        named = template.parameter_format == "NAMED"
        _only(parameter, {"type", "text"} | ({"parameter_name"} if named else set()), "body parameter")
        if parameter.get("type") != "text":
            raise GraphRefusalError(132012, "body: Parameters must be of type text")
        name = parameter.get("parameter_name") if named else expected[position]
        if name not in expected or name in values:
            raise GraphRefusalError(132012, f"body: Parameter name {name} is missing, unknown or repeated")
        values[str(name)] = _clean(parameter.get("text"))
    return values


def _clean(text: Any) -> str:
    if not isinstance(text, str) or not text:
        raise GraphRefusalError(131008, "Parameter of type text is missing text value")
    if re.search(r"[\n\r\t]| {5,}", text):
        raise GraphRefusalError(
            132018, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces"
        )
    return text


def _check_header(component: Json, template: Template, outbox: Outbox) -> None:
    _only(component, {"type", "parameters"}, "header")
    parameters = component.get("parameters")
    if template.header is None or not isinstance(parameters, list) or len(parameters) != 1:
        raise GraphRefusalError(132012, "header: Format mismatch with the created template")
    parameter = _object(parameters[0], "header parameter")
    kind = str(parameter.get("type"))
    if kind.upper() != template.header:
        raise GraphRefusalError(132012, f"header: Format mismatch, expected {template.header}, received {kind.upper()}")
    if kind == "text":
        _clean(parameter.get("text"))
        return
    media = _object(parameter.get(kind), f"header {kind}")
    _only(media, {"id", "link", "filename"}, f"header {kind}")
    if ("id" in media) == ("link" in media) or ("id" in media and media["id"] not in outbox.media):
        raise GraphRefusalError(131009, "header: exactly one of a known media id and a link is needed")


def _check_button(component: Json, template: Template) -> None:
    _only(component, {"type", "sub_type", "index", "parameters"}, "button")
    index = component.get("index")
    if not isinstance(index, str) or not index.isdigit() or int(index) >= len(template.buttons):
        raise GraphRefusalError(132012, "button: index must be a string naming one of the template's buttons")
    if component.get("sub_type") not in {"url", "quick_reply"} or not component.get("parameters"):
        raise GraphRefusalError(132012, "button: sub_type url or quick_reply and parameters are required")


def _text(asked: Json) -> str:
    _only(asked, {"body", "preview_url"}, "text")
    body = asked.get("body")
    if not isinstance(body, str) or not 0 < len(body) <= 4096:
        raise GraphRefusalError(131009, "text['body'] has 1 to 4096 characters")
    return body


def _number(asked: Json, settings: Settings) -> str:
    number = asked.get("to")
    if not number:
        raise GraphRefusalError(131008, "The parameter to is required")
    if not isinstance(number, str) or not E164.fullmatch(number):
        raise GraphRefusalError(131009, "to must be a full number in the form +<country><number>")
    if number.lstrip("+") == settings.display_phone_number:
        raise GraphRefusalError(131021, "The recipient is the sender")
    return number


def _object(value: Any, name: str) -> Json:
    if not isinstance(value, dict):
        raise GraphRefusalError(100, f"Param {name} must be a JSON object.")
    return value


def _needed(value: Json, key: str, where: str) -> Any:
    if not value.get(key):
        raise GraphRefusalError(131008, f"Required parameter {where}['{key}'] is missing")
    return value[key]


def _only(value: Json, keys: set[str], where: str) -> None:
    unknown = sorted(set(value) - keys)
    if unknown:
        raise GraphRefusalError(100, f'Unexpected key "{unknown[0]}" on param "{where}"')
