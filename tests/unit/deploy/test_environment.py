"""Where variables come from, and which one wins."""

from pathlib import Path

import pytest

from deploy.environment import given_variables, merge, of_the_machine, read_secrets
from deploy.errors import StackError


def test_the_environment_wins_over_the_file() -> None:
    assert merge({"DUEBELL_LOG_LEVEL": "INFO"}, {"DUEBELL_LOG_LEVEL": "DEBUG"}) == {"DUEBELL_LOG_LEVEL": "DEBUG"}


def test_an_empty_variable_takes_back_what_the_file_says() -> None:
    assert merge({"DUEBELL_AMQP_URL": "amqp://elsewhere"}, {"DUEBELL_AMQP_URL": ""}) == {}


def test_only_the_products_own_variables_are_taken() -> None:
    assert merge({"OTHER": "1"}, {"PATH": "/bin", "TEST_SERVERS": "native"}) == {}


def test_a_misspelt_variable_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"DUEBELL_XERO_CLIENTID .* did you mean DUEBELL_XERO_CLIENT_ID\?"):
        given_variables(tmp_path / ".env", {"DUEBELL_XERO_CLIENTID": "x"})


def test_a_misspelt_variable_in_the_file_is_found_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DUEBELL_NOTIFIER_PROT=1\n")
    with pytest.raises(StackError, match="DUEBELL_NOTIFIER_PROT"):
        given_variables(tmp_path / ".env", {})


def test_values_of_the_file_are_taken_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DUEBELL_WHATSAPP_APP_SECRET=a$HOME#b\nDUEBELL_XERO_CLIENT_SECRET='c d'\n")
    assert given_variables(tmp_path / ".env", {}) == {
        "DUEBELL_WHATSAPP_APP_SECRET": "a$HOME#b",
        "DUEBELL_XERO_CLIENT_SECRET": "c d",
    }


def test_a_secret_file_gives_its_variable_unless_something_else_does(tmp_path: Path) -> None:
    (tmp_path / "duebell_admin_secret").write_text("from the file\n")
    (tmp_path / "duebell_token_keys").write_text("k1:a")
    (tmp_path / "unrelated").write_text("x")
    given = given_variables(tmp_path / ".env", {"DUEBELL_SECRETS_DIR": str(tmp_path), "DUEBELL_TOKEN_KEYS": "k2:b"})
    assert given == {"DUEBELL_ADMIN_SECRET": "from the file", "DUEBELL_TOKEN_KEYS": "k2:b"}


def test_a_secrets_folder_that_is_not_there_stops(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="not a folder"):
        read_secrets(tmp_path / "nowhere")


def test_a_process_gets_nothing_else_of_the_machine() -> None:
    assert of_the_machine({"PATH": "/bin", "AWS_SECRET": "x", "DUEBELL_TOKEN_KEYS": "k"}) == {"PATH": "/bin"}
