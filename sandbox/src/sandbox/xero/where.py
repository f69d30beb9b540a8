"""Xero's `where` filter language, in its documented forms, compiled to a predicate."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

Row = Any
Predicate = Callable[[Row], bool]
Getter = Callable[[Row], Any]


class WhereError(ValueError):
    """The filter is not one Xero would understand."""


@dataclass(frozen=True, slots=True)
class Field:
    """A filterable property: how to read it and its type (`text`, `number`, `date`, `guid` or `bool`)."""

    get: Getter
    type: str


@dataclass(slots=True)
class Filter:
    """A compiled filter and the (property, operator) pairs it uses."""

    matches: Predicate
    uses: list[tuple[str, str]] = field(default_factory=list)


TOKEN = re.compile(
    r"""\s*(?:
    (?P<op>==|!=|<=|>=|<|>)
  | (?P<and>&&|\bAND\b)
  | (?P<or>\|\||\bOR\b)
  | (?P<paren>[()])
  | (?P<date>DateTime\s*\(\s*\d{1,4}(?:\s*,\s*\d{1,2}){2,5}\s*\))
  | (?P<guid>Guid\s*\(\s*"[^"]*"\s*\))
  | (?P<text>"(?:[^"\\]|\\.)*")
  | (?P<number>-?\d+(?:\.\d+)?)
  | (?P<name>[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)*)
  )""",
    re.VERBOSE | re.IGNORECASE,
)
GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
}


def compile_where(text: str, fields: Mapping[str, Field]) -> Filter:
    """Compile a filter over the named properties; raises WhereError with Xero-like wording."""
    return _Parser(_tokens(text), {name.lower(): (name, value) for name, value in fields.items()}).parse()


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise WhereError(f"Syntax error at index {position}")
        found.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return found


@dataclass(slots=True)
class _Parser:
    tokens: list[tuple[str, str]]
    fields: dict[str, tuple[str, Field]]
    at: int = 0
    uses: list[tuple[str, str]] = field(default_factory=list)

    def parse(self) -> Filter:
        predicate = self._either()
        if self.at != len(self.tokens):
            raise WhereError(f"Syntax error near '{self.tokens[self.at][1]}'")
        return Filter(predicate, self.uses)

    def _either(self) -> Predicate:
        parts = [self._both()]
        while self._accept("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def _both(self) -> Predicate:
        parts = [self._term()]
        while self._accept("and"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def _term(self) -> Predicate:
        if self._accept("paren", "("):
            inner = self._either()
            if not self._accept("paren", ")"):
                raise WhereError("')' or operator expected")
            return inner
        name = self._expect("name")
        if name.lower() not in self.fields:
            raise WhereError(f"No property or field '{name}' exists in type")
        canonical, column = self.fields[name.lower()]
        operator = self._expect("op")
        type_, literal = self._literal()
        if type_ == "null":
            if operator not in {"==", "!="}:
                raise WhereError("null can only be compared with == or !=")
        elif type_ != column.type or (operator not in {"==", "!="} and type_ not in {"date", "number"}):
            raise WhereError(f"Operator '{operator}' incompatible with operand types '{column.type}' and '{type_}'")
        self.uses.append((canonical, operator))
        return _comparison(column.get, COMPARE[operator], literal, operator)

    def _literal(self) -> tuple[str, Any]:
        if self.at == len(self.tokens):
            raise WhereError("Expression expected")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return "number", Decimal(text)
        if kind == "text":
            return "text", re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "date":
            return "date", _date(text)
        if kind == "guid":
            guid = text[text.index('"') + 1 : text.rindex('"')]
            if not GUID.fullmatch(guid):
                raise WhereError("Guid should contain 32 digits with 4 dashes")
            return "guid", guid.lower()
        constants: dict[str, tuple[str, Any]] = {
            "true": ("bool", True),
            "false": ("bool", False),
            "null": ("null", None),
        }
        if text.lower() in constants:
            return constants[text.lower()]
        raise WhereError(f"Expression expected near '{text}'")

    def _accept(self, kind: str, text: str | None = None) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at][0] == kind and text in {None, self.tokens[self.at][1]}:
            self.at += 1
            return True
        return False

    def _expect(self, kind: str) -> str:
        if self.at == len(self.tokens) or self.tokens[self.at][0] != kind:
            raise WhereError(f"{kind} expected")
        self.at += 1
        return self.tokens[self.at - 1][1]


def _date(text: str) -> datetime:
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    try:
        return datetime(*numbers)  # type: ignore[arg-type]  # noqa: DTZ001  three to six numbers of a calendar date
    except ValueError as error:
        raise WhereError(f"DateTime: {error}") from None


def _comparison(get: Getter, compare: Callable[[Any, Any], bool], literal: Any, operator: str) -> Predicate:
    def matches(row: Row) -> bool:
        value = get(row)
        if value is None or literal is None:
            return (value is literal) if operator == "==" else (value is not literal) if operator == "!=" else False
        return compare(value, literal)

    return matches
