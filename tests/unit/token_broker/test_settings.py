"""Settings and the link command: wrong values stop with one line, and a link needs two variables only."""

import base64
import os

import httpx
import pytest

from shared.errors import ConfigurationError
from shared.settings.base import load_settings
from token_broker.link import main
from token_broker.settings import LinkSettings, TokenBrokerSettings

SECRET = "an admin secret for tests"
KEYS = "k1:" + base64.b64encode(b"k" * 32).decode()
GOOD = {
    "DUEBELL_ADMIN_SECRET": SECRET,
    "DUEBELL_TOKEN_KEYS": KEYS,
    "DUEBELL_XERO_CLIENT_ID": "client",
    "DUEBELL_XERO_CLIENT_SECRET": "the client secret",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DUEBELL_")]:
        monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_four_variables_are_enough() -> None:
    settings = load_settings(TokenBrokerSettings)
    assert settings.xero_redirect_uri == "http://localhost:8081/callback"
    assert settings.connect_url == "http://localhost:8081/connect"
    assert settings.xero_scopes.split()[-1] == "accounting.settings.read"


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match=f"{name} is missing"):
        load_settings(TokenBrokerSettings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DUEBELL_ADMIN_SECRET", "shorty"),
        ("DUEBELL_TOKEN_KEYS", "k1:c2hvcnQ="),
        ("DUEBELL_XERO_SCOPES", "openid accounting.invoices.read"),
        ("DUEBELL_XERO_REDIRECT_URI", "https://broker.test/somewhere"),
        ("DUEBELL_TOKEN_BROKER_PORT", "70000"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(TokenBrokerSettings)
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)
    assert "c2hvcnQ=" not in str(caught.value)


def test_the_redirect_follows_the_port_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUEBELL_TOKEN_BROKER_PORT", "9000")
    assert load_settings(LinkSettings).connect_url == "http://localhost:9000/connect"
    monkeypatch.setenv("DUEBELL_XERO_REDIRECT_URI", "https://bell.example/xero/callback")
    assert load_settings(LinkSettings).connect_url == "https://bell.example/xero/connect"


def test_secrets_are_not_shown_by_the_settings() -> None:
    shown = repr(load_settings(TokenBrokerSettings))
    assert SECRET not in shown
    assert KEYS not in shown
    assert "the client secret" not in shown


def test_the_command_prints_one_link(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--hours", "2"]) == 0
    line, rest = capsys.readouterr().out.split("\n", 1)
    assert rest == ""
    assert set(httpx.URL(line).params) == {"nonce", "expires", "signature"}


def test_the_command_needs_the_admin_secret_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in set(GOOD) - {"DUEBELL_ADMIN_SECRET"}:
        monkeypatch.delenv(name)
    assert main([]) == 0
    monkeypatch.delenv("DUEBELL_ADMIN_SECRET")
    assert main([]) == 2
    assert capsys.readouterr().err == "token_broker.link: DUEBELL_ADMIN_SECRET is missing\n"


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "3000", "soon"])
def test_an_odd_number_of_hours_is_refused(hours: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--hours", hours])
    assert "--hours" in capsys.readouterr().err
