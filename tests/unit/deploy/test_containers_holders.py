"""What each container may know, and that it is made once."""

import json
import re
from pathlib import Path

import pytest

from deploy.containers.holders import USERS, files_of_holders, of_server
from deploy.containers.secrets import write_secrets
from deploy.services import SERVICES, ServiceKind
from shared.settings.base import declared_variables

PASSWORDS = {user: f"password-of-{user.replace('/', '-')}" for user in USERS}
KEYS = {"DUEBELL_TOKEN_KEYS": "k1:ring", "DUEBELL_ADMIN_SECRET": "admin-secret"}
HOLDERS = files_of_holders(PASSWORDS, KEYS)


@pytest.mark.parametrize("kind", SERVICES, ids=lambda kind: kind.name)
def test_a_service_sees_what_it_declares_and_no_other_password(kind: ServiceKind) -> None:
    files = HOLDERS[kind.name]
    assert {name.upper() for name in files} <= declared_variables(kind.settings)
    own = {f"{server}-{kind.name}" for server in ("rabbitmq", "redis", "postgres")}
    assert set(re.findall(r"password-of-([a-z-]+)@", " ".join(files.values()))) <= own


def test_only_the_token_broker_sees_its_keys() -> None:
    assert [name for name, files in HOLDERS.items() if "k1:ring" in str(files)] == ["token-broker"]
    assert [name for name, files in HOLDERS.items() if "admin-secret" in str(files)] == ["token-broker"]


def test_rabbitmq_and_redis_get_hashes_of_what_the_services_use() -> None:
    definitions = json.loads(HOLDERS["rabbitmq"]["definitions.json"])
    assert [user["name"] for user in definitions["users"]] == ["administrator"]
    assert "password" not in definitions["users"][0]
    assert "password-of" not in HOLDERS["redis"]["users.acl"]
    assert re.findall(r"^user ([\w-]+) on", HOLDERS["redis"]["users.acl"], re.MULTILINE) == [
        "default",
        "administrator",
        "token-broker",
        "fetcher",
        "scheduler",
    ]


def test_the_files_are_the_same_at_every_start() -> None:
    assert files_of_holders(PASSWORDS, KEYS) == HOLDERS


def test_the_users_of_one_server() -> None:
    assert of_server("postgres", PASSWORDS).keys() == {"administrator", "token-broker", "notifier"}


def test_secrets_are_made_once_and_a_lost_folder_is_filled_again(tmp_path: Path) -> None:
    for name in ("all", *HOLDERS):
        (tmp_path / name).mkdir()
    write_secrets(tmp_path)
    made = {path: path.read_text() for path in tmp_path.glob("*/*")}
    (tmp_path / "fetcher" / "duebell_amqp_url").unlink()
    write_secrets(tmp_path)
    assert {path: path.read_text() for path in tmp_path.glob("*/*")} == made
    assert (tmp_path / "fetcher" / "duebell_amqp_url").stat().st_mode & 0o777 == 0o600
