"""The templates that exist with WhatsApp: which parameters each takes and how long its text may grow."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from shared.errors import ConfigurationError

STANDARD_PARAMETERS = ("contact_name", "organisation_name", "invoice_number", "amount", "due_date")
LINK_SUFFIX = "_with_link"
LONGEST_BODY = 540
"""Characters of a template's own text: what its parameters may add keeps the filled body under WhatsApp's 1,024."""

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_Parameter = Literal["contact_name", "organisation_name", "invoice_number", "amount", "due_date", "link"]


class Template(BaseModel):
    """``languages`` is the body by language code, with ``{{name}}`` for each parameter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    category: Literal["UTILITY"] = "UTILITY"
    parameters: tuple[_Parameter, ...] = STANDARD_PARAMETERS  # type: ignore[assignment]  # pydantic does not check it
    languages: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _bodies_fit(self) -> "Template":
        for language, body in self.languages.items():
            if sorted(_PLACEHOLDER.findall(body)) != sorted(self.parameters):
                raise ValueError(f"the {language} text must use each of its parameters once")
            if body.startswith("{{") or body.endswith("}}"):
                raise ValueError(f"the {language} text must not begin or end with a parameter")
            if len(body) > LONGEST_BODY:
                raise ValueError(f"the {language} text is longer than {LONGEST_BODY} characters")
        return self


class Catalogue:
    """All templates by name; one that is unknown takes the standard parameters."""

    def __init__(self, templates: Mapping[str, Template]) -> None:
        self._templates = templates

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
