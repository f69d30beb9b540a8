"""Nothing that opens a door or names a person passes the net."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from shared.telemetry.logging import configure_logging, get_logger
from shared.telemetry.redaction import redact_text

SECRETS = [
    "+919876543210",
    "+91 98765 43210",
    "+44 (0)20 7946-0958",
    "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "wamid.HBgMOTE5ODc2NTQzMjEwFQIAERgS",
    "amqp://fetcher:hunter2@127.0.0.1:5672/",
    "https://x.example/callback?code=abc123&state=xyz",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_text_that_looks_like_a_secret_is_masked(secret: str) -> None:
    masked = redact_text(f"something about {secret} happened")
    for part in ("98765", "7946", "eyJ", "HBgM", "hunter2", "abc123", "xyz"):
        assert part not in masked


def test_ids_counts_and_times_stay_readable() -> None:
    text = "invoice 1d5a1c1e-0b6f-4b1c-8d3c-5a7a3f0e9b21 read in 12.5 ms at 2026-06-23T12:00:00+00:00"
    assert redact_text(text) == text


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    written = io.StringIO()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr("sys.stdout", written)
    structlog.contextvars.clear_contextvars()
    configure_logging("fetcher", "DEBUG")
    yield written
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_is_json_names_its_service_and_hides_telling_fields(lines: io.StringIO) -> None:
    get_logger("test").info("invoice.read", invoice_id="inv-1", access_token="opaque", phone="12345", count=3)
    line = json.loads(lines.getvalue())
    assert (line["event"], line["service"], line["invoice_id"], line["count"]) == (
        "invoice.read",
        "fetcher",
        "inv-1",
        3,
    )
    assert (line["access_token"], line["phone"]) == ("[hidden]", "[hidden]")


def test_an_exception_is_logged_by_type_and_place_without_its_text(lines: io.StringIO) -> None:
    try:
        raise ValueError("Asha Traders, 9876543210")
    except ValueError:
        get_logger("test").exception("work.failed")
    line = json.loads(lines.getvalue())
    assert line["error"] == "ValueError"
    assert line["places"][-1].startswith("test_redaction.py:")
    assert "Asha" not in lines.getvalue()


def test_libraries_stay_silent_below_warning_at_any_level(lines: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: POST https://x.example/?code=1")
    logging.getLogger("aiormq.connection").debug("frame")
    assert lines.getvalue() == ""
