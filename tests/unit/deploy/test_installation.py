"""Which processes run, and what each of them is told."""

import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.doubles import sandbox_settings, sandbox_variables
from deploy.errors import StackError
from deploy.installation import Installation, trial_secrets
from deploy.ports import is_free
from deploy.program import Program
from deploy.servers.private import PrivateServers
from deploy.services import NAMES

GIVEN = {
    "DUEBELL_AMQP_URL": "amqp://elsewhere/",
    "DUEBELL_REDIS_URL": "redis://elsewhere/",
    "DUEBELL_XERO_WEBHOOK_KEYS": "k",
    "DUEBELL_WHATSAPP_APP_SECRET": "a",
    "DUEBELL_WHATSAPP_VERIFY_TOKEN": "v",
    "DUEBELL_XERO_CLIENT_ID": "id",
    "DUEBELL_XERO_CLIENT_SECRET": "s",
    "DUEBELL_ADMIN_SECRET": "x" * 20,
    "DUEBELL_TOKEN_KEYS": "k1:a",
    "DUEBELL_WHATSAPP_ACCESS_TOKEN": "t",
    "DUEBELL_WHATSAPP_PHONE_NUMBER_ID": "1",
}
ONE_EACH = dict.fromkeys(NAMES, 1)


def installation(tmp_path: Path, given: Mapping[str, str]) -> Installation:
    return Installation(tmp_path, given, PrivateServers(tmp_path, []), {"PATH": "/bin"}, set(), fixed_ports=False)


def by_name(programs: list[Program]) -> dict[str, Program]:
    return {program.name: program for program in programs}


def ours(program: Program) -> set[str]:
    return {name for name in program.environment if name.startswith("DUEBELL_")}


def test_a_service_gets_only_what_it_declares(tmp_path: Path) -> None:
    programs = by_name(installation(tmp_path, GIVEN).service_programs(ONE_EACH))
    assert "DUEBELL_TOKEN_KEYS" in ours(programs["token-broker-1"])
    for name in NAMES:
        if name != "token-broker":
            assert not ours(programs[f"{name}-1"]) & {"DUEBELL_TOKEN_KEYS", "DUEBELL_XERO_CLIENT_SECRET"}
    assert "DUEBELL_WHATSAPP_ACCESS_TOKEN" not in ours(programs["ingress-1"])


def test_each_database_lies_in_the_stacks_folder_unless_one_was_given(tmp_path: Path) -> None:
    given = {**GIVEN, "DUEBELL_NOTIFIER_DATABASE_URL": "postgresql://elsewhere/n"}
    programs = by_name(installation(tmp_path, given).service_programs(ONE_EACH))
    broker = programs["token-broker-1"].environment["DUEBELL_TOKEN_BROKER_DATABASE_URL"]
    assert broker == f"sqlite:///{tmp_path}/data/token-broker.db"
    assert programs["notifier-1"].environment["DUEBELL_NOTIFIER_DATABASE_URL"] == "postgresql://elsewhere/n"


def test_replicas_listen_on_different_ports(tmp_path: Path) -> None:
    programs = installation(tmp_path, GIVEN).service_programs({**ONE_EACH, "fetcher": 3})
    fetchers = [program for program in programs if program.service == "fetcher"]
    assert [program.name for program in fetchers] == ["fetcher-1", "fetcher-2", "fetcher-3"]
    assert len({program.environment["DUEBELL_FETCHER_PORT"] for program in fetchers}) == 3


def test_the_first_replica_gets_the_port_that_was_asked_for(tmp_path: Path) -> None:
    port = next(port for port in range(23000, 24000) if is_free(port))
    programs = by_name(
        installation(tmp_path, {**GIVEN, "DUEBELL_INGRESS_PORT": str(port)}).service_programs(
            {**ONE_EACH, "ingress": 2}
        )
    )
    assert programs["ingress-1"].port == port
    assert programs["ingress-2"].port != port


@pytest.mark.parametrize("port", ["http", "70000", "-1"])
def test_a_port_that_is_none_is_named(tmp_path: Path, port: str) -> None:
    with pytest.raises(StackError, match="DUEBELL_INGRESS_PORT"):
        installation(tmp_path, {**GIVEN, "DUEBELL_INGRESS_PORT": port}).service_programs(ONE_EACH)


def test_all_missing_variables_are_named_at_once(tmp_path: Path) -> None:
    given = {
        name: value
        for name, value in GIVEN.items()
        if name not in {"DUEBELL_TOKEN_KEYS", "DUEBELL_WHATSAPP_APP_SECRET"}
    }
    with pytest.raises(StackError) as caught:
        installation(tmp_path, given).check(ONE_EACH, sandbox=False)
    assert caught.value.details == (
        "ingress: DUEBELL_WHATSAPP_APP_SECRET is missing",
        "token-broker: DUEBELL_TOKEN_KEYS is missing",
    )


def test_a_service_that_does_not_run_misses_nothing(tmp_path: Path) -> None:
    given = {name: value for name, value in GIVEN.items() if name != "DUEBELL_TOKEN_KEYS"}
    installation(tmp_path, given).check({**ONE_EACH, "token-broker": 0}, sandbox=False)


def test_with_the_sandbox_nothing_has_to_be_given(tmp_path: Path) -> None:
    installation(tmp_path, trial_secrets(tmp_path / "trial.json")).check(ONE_EACH, sandbox=True)


def test_with_the_sandbox_no_address_of_the_real_services_is_left() -> None:
    real = {"DUEBELL_XERO_API_URL": "https://real", "DUEBELL_XERO_CLIENT_ID": "mine"}
    told = sandbox_variables(real, "http://127.0.0.1:9", "http://127.0.0.1:8")
    assert {value for name, value in told.items() if name.endswith("_URL")} == {"http://127.0.0.1:9"}
    assert told["DUEBELL_XERO_CLIENT_ID"] == "mine"
    assert told["DUEBELL_XERO_REDIRECT_URI"].endswith(":8/callback")


def test_the_sandbox_is_told_what_the_services_were_told() -> None:
    told = sandbox_settings({"DUEBELL_XERO_WEBHOOK_KEYS": "new, old", "DUEBELL_XERO_CLIENT_ID": "mine"}, "http://i")
    assert told == {
        "client_id": "mine",
        "webhook_key": "new",
        "webhook_url": "http://i/webhooks/xero",
        "whatsapp_webhook_url": "http://i/webhooks/whatsapp",
    }


def test_trial_secrets_stay_the_same_and_private(tmp_path: Path) -> None:
    path = tmp_path / "trial.json"
    assert trial_secrets(path) == trial_secrets(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
