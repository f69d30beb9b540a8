"""The commands that a person in a hurry types: what they say, and what a shell learns from them."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from notifier.ports import Unknown
from support.builders import TENANT
from support.notifier import tenant_policy, world

ABSENT = "no organisation somebody is known here; nothing was done (make connections lists them)\n"


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Exit code, output, complaint of ``python -m notifier.‹command›``."""

    def typed(url: str, command: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setenv("DUEBELL_NOTIFIER_DATABASE_URL", url)
        monkeypatch.setattr("sys.argv", [command, *arguments])
        capsys.readouterr()
        code = 0
        try:
            import_module(f"notifier.{command}").main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed


async def hold_one(url: str) -> None:
    async with world(url, tenant_policy(mode="approval")) as notifier:
        await notifier.take_in()


async def send_without_an_end(url: str) -> None:
    async with world(url) as notifier:
        notifier.provider.answers.append(Unknown("no_answer_ReadTimeout"))
        await notifier.sender.run_once()


def test_a_pause_and_its_end_are_said_listed_and_harmless_twice(url: str, call: Call) -> None:
    """On a machine where nothing ever ran: the switch works before the ledger is there."""
    assert call(url, "stops") == (0, "Nothing is in the way.\n", "")
    assert call(url, "stops", "--brief") == (0, "\n", "")
    assert call(url, "pause", "--by", "ben") == (0, "everything is paused by ben\n", "")
    assert call(url, "pause", "--by", "asha") == (0, "everything was paused already\n", "")
    code, said, _ = call(url, "stops")
    assert code == 0
    assert "PAUSED  everything  by ben since" in said
    assert "do: make resume\n" in said
    assert call(url, "stops", "--brief")[1] == "messages: PAUSED: everything by ben (make stops)\n"
    assert call(url, "resume", "--by", "ben") == (0, "everything goes on, says ben\n", "")
    assert call(url, "resume", "--by", "ben") == (0, "everything was not paused\n", "")
    assert call(url, "stops", "--probe") == (0, "0 breakers let one message through now\n", "")


@pytest.mark.parametrize("command", ["pause", "resume", "release", "resolve"])
def test_a_misspelt_organisation_is_said_and_nothing_is_done(url: str, call: Call, command: str) -> None:
    assert call(url, command, "somebody") == (1, "", ABSENT)


def test_an_empty_name_is_not_everybody(url: str, call: Call) -> None:
    assert call(url, "pause", "")[0] == 1
    assert call(url, "stops")[1] == "Nothing is in the way.\n"


def test_what_is_held_and_unknown_is_listed_with_its_age_and_let_go(url: str, call: Call) -> None:
    asyncio.run(hold_one(url))
    code, said, _ = call(url, "stops")
    assert (code, said.splitlines()) == (
        0,
        [
            f"1 held (approval) of {TENANT}, the oldest since 2026-06-23 12:00:00 UTC",
            f"        do: make release TENANT={TENANT}",
        ],
    )
    assert call(url, "release", TENANT) == (0, "1 released\n", "")
    assert call(url, "release", TENANT) == (0, "0 released\n", "")
    assert call(url, "resolve", TENANT) == (0, "Nothing is unknown.\n", "")
    assert call(url, "resolve", TENANT, "--close") == (0, "0 closed as failed\n", "")
    asyncio.run(send_without_an_end(url))
    assert f"1 unknown (no_answer_ReadTimeout) of {TENANT}, the oldest since" in call(url, "stops")[1]
    assert "unknown (no_answer_ReadTimeout)" in call(url, "resolve", TENANT)[1]
    assert call(url, "resolve", TENANT, "--invoice", "INV-9", "--close")[1] == "0 closed as failed\n"
    assert call(url, "resolve", TENANT, "--resend", "--close")[0] == 2
    assert call(url, "resolve", TENANT, "--close")[1] == "INV-1042  reminder +7  closed as failed\n1 closed as failed\n"
    assert call(url, "resolve")[0] == 2


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", 1, "the ledger does not answer (ConnectionRefusedError)"),
        ("mysql://nobody@127.0.0.1/none", 2, "notifier: the database mysql is not supported"),
    ],
)
def test_a_ledger_that_does_not_answer_is_one_line(call: Call, address: str, code: int, said: str) -> None:
    ended, output, complaint = call(address, "pause")
    assert (ended, output) == (code, "")
    assert complaint.startswith(said)
    assert len(complaint.splitlines()) == 1
