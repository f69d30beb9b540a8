"""A wrong environment stops the start with one line that says which variable."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, SecretStr

from shared.errors import ConfigurationError
from shared.settings.base import ServiceSettings, declared_variables, load_settings


class DoorSettings(ServiceSettings):
    ingress_port: int = 8080
    admin_secret: SecretStr = Field(min_length=8)
    names: ClassVar[str] = "not a field"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {})


def test_what_is_declared_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUEBELL_ADMIN_SECRET", "long enough")
    monkeypatch.setenv("DUEBELL_INGRESS_PORT", "0")
    settings = load_settings(DoorSettings)
    assert (settings.ingress_port, settings.admin_secret.get_secret_value()) == (0, "long enough")
    assert declared_variables(DoorSettings) == {"DUEBELL_INGRESS_PORT", "DUEBELL_ADMIN_SECRET"}


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^DUEBELL_ADMIN_SECRET is missing$"):
        load_settings(DoorSettings)


def test_an_empty_variable_is_one_that_was_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUEBELL_ADMIN_SECRET", "long enough")
    monkeypatch.setenv("DUEBELL_INGRESS_PORT", "")
    assert load_settings(DoorSettings).ingress_port == 8080


def test_a_wrong_value_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUEBELL_ADMIN_SECRET", "hunter2")
    monkeypatch.setenv("DUEBELL_INGRESS_PORT", "eighty")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(DoorSettings)
    assert "DUEBELL_ADMIN_SECRET" in str(caught.value)
    assert "DUEBELL_INGRESS_PORT" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_misspelt_variable_is_named_with_its_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUEBELL_ADMIN_SECRETS", "long enough")
    with pytest.raises(ConfigurationError, match=r"DUEBELL_ADMIN_SECRETS is not .* did you mean DUEBELL_ADMIN_SECRET"):
        load_settings(DoorSettings)


def test_another_service_s_variable_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUEBELL_ADMIN_SECRET", "long enough")
    monkeypatch.setenv("DUEBELL_XERO_CLIENT_ID", "not mine")
    load_settings(DoorSettings)


def test_secrets_may_come_as_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "duebell_admin_secret").write_text("from a file")
    monkeypatch.setenv("DUEBELL_SECRETS_DIR", str(tmp_path))
    assert load_settings(DoorSettings).admin_secret.get_secret_value() == "from a file"
