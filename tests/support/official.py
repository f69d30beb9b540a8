"""A provider's own OpenAPI file as the judge of what is sent to the provider and of what it, or its double, answers."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from jsonschema.exceptions import ValidationError
from openapi_schema_validator import OAS30Validator, OAS31Validator, oas30_format_checker, oas31_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT4, DRAFT202012

Json = Mapping[str, Any]
_BASE = "official"
_OF_HTTP = frozenset(
    {"accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host", "user-agent"}
)
"""Headers that an OpenAPI file leaves to the protocol."""
_WIRE_DATE = r"^/Date\(-?\d+([+-]\d{4})?\)/$"


class _Loader(yaml.CSafeLoader):
    """Leaves moments as the text they are in JSON."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True)
class Fault:
    """Something the file does not allow: where it is, without its value, and the rule; ``text`` is for the reader."""

    where: str
    rule: str
    text: str = ""

    @property
    def key(self) -> str:
        return f"{self.where}: {self.rule}"


@dataclass(frozen=True)
class _Operation:
    """``path`` as the file writes it, with what stands for its variables; ``exact`` is False in another letter case."""

    path: str
    exact: bool
    described: Json
    parameters: Mapping[tuple[str, str], Json]
    variables: Mapping[str, str]


class OfficialFile:
    """One OpenAPI file. A fault is found by name of its place, so that a known difference can be let pass by name."""

    def __init__(self, contents: Json) -> None:
        newer = str(contents["openapi"]).startswith("3.1")
        self._contents: Json = _prepared(contents)
        self._server = httpx.URL(self._contents.get("servers", [{"url": ""}])[0]["url"]).path.rstrip("/")
        self._validator, self._formats = (
            (OAS31Validator, oas31_format_checker) if newer else (OAS30Validator, oas30_format_checker)
        )
        resource = (DRAFT202012 if newer else DRAFT4).create_resource(self._contents)
        self._registry: Registry[Any] = Registry().with_resource(_BASE, resource)

    @classmethod
    def read(cls, file: Path) -> "OfficialFile":
        with file.open(encoding="utf-8") as text:
            return cls(yaml.load(text, _Loader))

    def at(self, *steps: str) -> Json:
        """What the file says at that place. Raises KeyError."""
        found: Any = self._contents
        for step in steps:
            found = found[step]
        seen: Json = self._seen(found)
        return seen

    def schema(self, name: str) -> Json:
        return self.at("components", "schemas", name)

    def exchange(self, answer: httpx.Response) -> Iterator[Fault]:
        """What is wrong with a request, and with the answer to it."""
        request = answer.request
        operation = self._operation(request)
        if operation is None:
            yield Fault(f"{request.method} {request.url.path}", "undescribed")
            return
        yield from self._request(operation, request)
        yield from self._answer(operation, answer)

    def value(self, schema: Json, value: Any, where: str) -> Iterator[Fault]:
        """What is wrong with a value, undescribed fields of objects included."""
        schema = self._chosen(schema, value)
        yield from self._wrong(schema, value, where)
        yield from self._inside(schema, value, where)

    def _wrong(self, schema: Json, value: Any, where: str) -> Iterator[Fault]:
        checker = self._validator(schema, registry=self._registry, format_checker=self._formats)
        for error in checker.iter_errors(value):
            yield Fault(f"{where}{_place(error)}", _rule(error), error.message[:200])

    def _operation(self, request: httpx.Request) -> _Operation | None:
        """The operation whose path says most of the address literally, in whatever letter case."""
        address = request.url.path.removeprefix(self._server)
        found: list[tuple[int, _Operation]] = []
        for path, item in self._contents["paths"].items():
            names = re.findall(r"\{([^}]+)\}", path)
            pattern = re.sub(r"\\\{[^}]+\\\}", "([^/]+)", re.escape(path))
            match = re.fullmatch(pattern, address, re.IGNORECASE)
            described = item.get(request.method.lower())
            if match and described and request.url.path.startswith(self._server):
                parameters = {
                    (each["in"], each["name"].lower() if each["in"] == "header" else each["name"]): each
                    for each in map(self._seen, [*item.get("parameters", ()), *described.get("parameters", ())])
                }
                variables = dict(zip(names, match.groups(), strict=True))
                exact = re.fullmatch(pattern, address) is not None
                found.append((len(names), _Operation(path, exact, described, parameters, variables)))
        return min(found, key=lambda each: each[0])[1] if found else None

    def _request(self, operation: _Operation, request: httpx.Request) -> Iterator[Fault]:
        if not operation.exact:
            yield Fault(f"path {operation.path}", "letter case")
        given = [("path", name, value) for name, value in operation.variables.items()]
        given += [("query", name, value) for name, value in request.url.params.multi_items()]
        given += [("header", name, value) for name, value in request.headers.multi_items()]
        seen: set[tuple[str, str]] = set()
        for place, name, text in given:
            parameter = operation.parameters.get((place, name))
            if (place, name) in seen:
                yield Fault(f"{place} {name}", "repeated")
            elif parameter is not None:
                yield from self.value(parameter["schema"], _decoded(parameter, text), f"{place} {name}")
            elif not (place == "header" and name in _OF_HTTP):
                yield Fault(f"{place} {name}", "undescribed")
            seen.add((place, name))
        for (place, name), parameter in operation.parameters.items():
            if parameter.get("required") and (place, name) not in seen:
                yield Fault(f"{place} {name}", "required")
        if request.content:
            body = self._seen(operation.described["requestBody"])["content"].get(_kind(request.headers))
            if body is None:
                yield Fault("body", f"{_kind(request.headers)} undescribed")
            else:
                yield from self.value(body["schema"], json.loads(request.content), "body ")

    def _answer(self, operation: _Operation, answer: httpx.Response) -> Iterator[Fault]:
        described = operation.described["responses"].get(str(answer.status_code))
        if described is None:
            yield Fault(f"answer {answer.status_code}", "undescribed")
            return
        contents = self._seen(described).get("content", {})
        kind = _kind(answer.headers)
        if not answer.content:
            if contents:
                yield Fault(f"answer {answer.status_code}", "empty")
        elif kind not in contents:
            yield Fault(f"answer {answer.status_code} {kind}", "undescribed")
        elif kind == "application/json":
            yield from self.value(contents[kind]["schema"], answer.json(), "answer ")

    def _inside(self, schema: Json, value: Any, where: str) -> Iterator[Fault]:
        """What JSON Schema does not judge: fields that nothing describes, and what a discriminator chooses."""
        if isinstance(value, list):
            items = self._seen(schema).get("items", {})
            for each in value:
                yield from self._inner(items, each, f"{where}[]")
        elif isinstance(value, dict) and (properties := self._properties(schema)):
            for name, inner in value.items():
                if name in properties:
                    yield from self._inner(properties[name], inner, f"{where}.{name}")
                else:
                    yield Fault(f"{where}.{name}", "undescribed")

    def _inner(self, schema: Json, value: Any, where: str) -> Iterator[Fault]:
        chosen = self._chosen(schema, value)
        if chosen is not schema:
            yield from self._wrong(chosen, value, where)
        yield from self._inside(chosen, value, where)

    def _chosen(self, schema: Json, value: Any) -> Json:
        """The schema that a discriminator means; the given one without."""
        chooser = self._seen(schema).get("discriminator", {})
        mapping = chooser.get("mapping", {})
        kind = value.get(chooser.get("propertyName")) if isinstance(value, dict) else None
        return {"$ref": _BASE + mapping[kind]} if kind in mapping else schema

    def _properties(self, schema: Json) -> dict[str, Json]:
        schema = self._seen(schema)
        properties = dict(schema.get("properties", {}))
        for part in schema.get("allOf", ()):
            properties |= self._properties(part)
        return properties

    def _seen(self, raw: Any) -> Any:
        """What a reference points to."""
        while isinstance(raw, Mapping) and "$ref" in raw:
            raw = self._registry.resolver().lookup(raw["$ref"]).contents
        return raw


def _prepared(raw: Any) -> Any:
    """References made absolute, and Xero's word for its own form of dates made a rule."""
    if isinstance(raw, list):
        return [_prepared(each) for each in raw]
    if not isinstance(raw, dict):
        return raw
    made = {name: _prepared(each) for name, each in raw.items()}
    if isinstance(raw.get("$ref"), str):
        made["$ref"] = _BASE + raw["$ref"]
    if raw.get("x-is-msdate") or raw.get("x-is-msdate-time"):
        made["pattern"] = _WIRE_DATE
    return made


def _decoded(parameter: Json, text: str) -> Any:
    """The value that the text of a parameter stands for; the text itself where it stands for none."""
    match parameter["schema"].get("type"):
        case "array":
            return text.split(",")
        case "boolean":
            return {"true": True, "false": False}.get(text, text)
        case "integer" if re.fullmatch(r"-?\d+", text):
            return int(text)
        case _:
            return text


def _kind(headers: httpx.Headers) -> str:
    written: str = headers.get("content-type", "")
    return written.partition(";")[0].strip().lower()


def _place(error: ValidationError) -> str:
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)


def _rule(error: ValidationError) -> str:
    """The keyword, with what it wanted where that does not depend on the value."""
    match error.validator:
        case "format" | "type":
            return str(error.validator_value)
        case "required":
            return f"required {error.message.split(' ')[0].strip(chr(39))}"
        case keyword:
            return str(keyword)
