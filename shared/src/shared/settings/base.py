"""The parent of every service's settings: flat ``DUEBELL_`` variables, frozen, and strict about their names."""

import difflib
import os
from collections.abc import Mapping
from typing import ClassVar, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import ConfigurationError
from shared.settings.variables import KNOWN_VARIABLES

PREFIX = "DUEBELL_"
SECRETS_DIR = "DUEBELL_SECRETS_DIR"
"""A folder with one file per variable, named like it in lower case (Docker and Kubernetes secrets)."""


class ServiceSettings(BaseSettings):
    """Fields are the lower-case names without the prefix. Made once, at start-up, by :func:`load_settings`."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True, env_ignore_empty=True
    )


S = TypeVar("S", bound=ServiceSettings)


def variable(field: str) -> str:
    """The environment variable of a settings field."""
    return PREFIX + field.upper()


def declared_variables(settings: type[ServiceSettings]) -> frozenset[str]:
    """The variables that this service reads, and so the only ones it should be given."""
    return frozenset(variable(field) for field in settings.model_fields)


def unknown_variable(environ: Mapping[str, str]) -> str | None:
    """One line about the first variable under our prefix that nobody declares, or None."""
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in KNOWN_VARIABLES and name != SECRETS_DIR:
            near = difflib.get_close_matches(name, KNOWN_VARIABLES, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            return f"{name} is not a variable that Duebell knows{hint}"
    return None


def load_settings(settings: type[S]) -> S:
    """Read the environment (and the secrets folder) once.

    Raises:
        ConfigurationError: one line that names the missing, wrong or misspelt variable, and never its value.
    """
    complaint = unknown_variable(os.environ)
    if complaint:
        raise ConfigurationError(complaint)
    try:
        return settings(_secrets_dir=os.environ.get(SECRETS_DIR))
    except ValidationError as error:
        raise ConfigurationError(_one_line(error)) from None


def _one_line(error: ValidationError) -> str:
    parts = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        location = problem["loc"]
        name = variable(str(location[0])) if location else "settings"
        parts.append(f"{name} is missing" if problem["type"] == "missing" else f"{name}: {problem['msg']}")
    return "; ".join(parts)
