"""The templates that Duebell knows: what each says, which parameters it takes and how long its text may grow."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from shared.errors import ConfigurationError

STANDARD_PARAMETERS = ("contact_name", "organisation_name", "invoice_number", "amount", "due_date")
LINK_SUFFIX = "_with_link"
LONGEST_BODY = 540
"""Characters of a template's own text: what its parameters may add keeps the filled body under WhatsApp's 1,024."""
LONGEST_BUTTON = 20
LONGEST_DELIVERY_SECONDS = 43_200

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_NEIGHBOURS = re.compile(r"\}\}\s*\{\{")
_EDGES = re.compile(r"^\W*\{\{|\}\}\W*$")
_LINE_BREAKS = re.compile(r"[\r\n\t]| {4,}")
_Parameter = Literal[
    "contact_name", "organisation_name", "invoice_number", "amount", "due_date", "link",
    "invoice_count", "totals", "oldest_due_date",
]  # fmt: skip
_Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$")]
_Label = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_BUTTON)]


class Template(BaseModel):
    """``languages`` is the body by language code, with ``{{name}}`` for each parameter.

    ``stop_button`` is the label of a quick reply that ends all messages; ``ttl_seconds`` how long WhatsApp may try to
    deliver.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    category: Literal["UTILITY"] = "UTILITY"
    parameters: tuple[_Parameter, ...] = STANDARD_PARAMETERS  # type: ignore[assignment]  # pydantic does not check it
    ttl_seconds: int | None = Field(default=None, ge=30, le=LONGEST_DELIVERY_SECONDS)
    stop_button: dict[_Language, _Label] = Field(default_factory=dict)
    languages: dict[_Language, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _texts_are_as_meta_takes_them(self) -> "Template":
        for language, body in self.languages.items():
            if fault := _fault(body, self.parameters):
                raise ValueError(f"the {language} text {fault}")
            if self.stop_button and language not in self.stop_button:
                raise ValueError(f"the {language} text has no stop_button")
        return self


def _fault(body: str, parameters: tuple[str, ...]) -> str | None:
    """The first of Meta's rules for a template's body that is broken."""
    own_words = [word for word in _PLACEHOLDER.sub(" ", body).split() if any(map(str.isalnum, word))]
    rules = {
        "must use each of its parameters once": sorted(parameters_of(body)) == sorted(parameters),
        "must not begin or end with a parameter": _EDGES.search(body) is None,
        f"is longer than {LONGEST_BODY} characters": len(body) <= LONGEST_BODY,
        "has two parameters with nothing between them": _NEIGHBOURS.search(body) is None,
        "has more parameters than its words carry": len(own_words) > 2 * len(parameters),
        "must be one line without runs of spaces": _LINE_BREAKS.search(body) is None,
    }
    return next((said for said, holds in rules.items() if not holds), None)


class Catalogue:
    """All templates by name; one that is unknown takes the standard parameters."""

    def __init__(self, templates: Mapping[str, Template]) -> None:
        self._templates = templates

    def __iter__(self) -> Iterator[tuple[str, Template]]:
        """Name and template, as in the file."""
        return iter(self._templates.items())

    def __contains__(self, name: object) -> bool:
        return name in self._templates

    def parameters(self, name: str) -> tuple[str, ...]:
        template = self._templates.get(name)
        return template.parameters if template else STANDARD_PARAMETERS

    def body(self, name: str, language: str) -> str | None:
        template = self._templates.get(name)
        return template.languages.get(language) if template else None

    def with_link(self, name: str, language: str) -> str | None:
        """The name of the variant that carries a link, when there is one in this language."""
        variant = f"{name}{LINK_SUFFIX}"
        return variant if self.body(variant, language) is not None else None

    def without_links(self) -> "Catalogue":
        """The same, but for the variants that carry a link."""
        return Catalogue({name: found for name, found in self._templates.items() if not name.endswith(LINK_SUFFIX)})


def parameters_of(body: str) -> tuple[str, ...]:
    """The names between double braces, in order."""
    return tuple(_PLACEHOLDER.findall(body))


def filled(body: str, texts: Mapping[str, str]) -> str:
    """The text with each ``{{name}}`` replaced; raises KeyError for a name without a text."""
    return _PLACEHOLDER.sub(lambda found: texts[found[1]], body)


def load_catalogue(policy_file: Path) -> Catalogue:
    """Read ``templates.yaml`` beside the policy file, else the shipped ``config/templates.yaml``.

    Raises ConfigurationError with one line that names the file and the template.
    """
    places = (policy_file.parent / "templates.yaml", Path("config/templates.yaml"))
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise ConfigurationError(f"{places[0]}: cannot be read, nor can {places[1]}")
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        return Catalogue(TypeAdapter(dict[str, Template]).validate_python(document))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{file}: cannot be read ({type(error).__name__})") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{file}: {'.'.join(map(str, first['loc'])) or 'templates'}: {said}") from None
