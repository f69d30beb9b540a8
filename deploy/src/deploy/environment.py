"""Which variables Duebell was given: the secrets folder, then ``.env``, then the environment, the last one wins."""

from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from deploy.errors import StackError
from shared.settings.base import PREFIX, SECRETS_DIR, unknown_variable

_OURS = "DUEBELL_TEST_"
"""Variables of the test suite, which may be set in a shell that also runs the product."""

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What else a process needs of its machine."""


def given_variables(dotenv: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Variable → value; one that is set to nothing counts as not given.

    Raises:
        StackError: a name under our prefix that nobody declares.
    """
    from_file = {name: value or "" for name, value in dotenv_values(dotenv, interpolate=False).items()}
    merged = merge(from_file, environ)
    secrets = merged.pop(SECRETS_DIR, None)
    check_names(merged)
    return {**read_secrets(Path(secrets)), **merged} if secrets else merged


def merge(from_file: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Only our variables; an empty one in the environment takes back what the file says."""
    both = {**from_file, **environ}
    return {
        name: value for name, value in both.items() if value and name.startswith(PREFIX) and not name.startswith(_OURS)
    }


def check_names(variables: Mapping[str, str]) -> None:
    """Raises :class:`StackError` with one line about the first misspelt name."""
    if complaint := unknown_variable(variables):
        raise StackError(complaint)


def read_secrets(folder: Path) -> dict[str, str]:
    """One file per variable, named like it in any case; other files are not ours.

    Raises:
        StackError: there is no such folder.
    """
    if not folder.is_dir():
        raise StackError(f"{SECRETS_DIR} is not a folder: {folder}")
    found = {path.name.upper(): path for path in folder.iterdir() if path.is_file()}
    return {name: path.read_text(encoding="utf-8").strip() for name, path in found.items() if name.startswith(PREFIX)}


def of_the_machine(environ: Mapping[str, str]) -> dict[str, str]:
    """What every process gets beside its own variables."""
    return {name: environ[name] for name in PASSED_ON if name in environ}
