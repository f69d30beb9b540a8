"""The files of the private servers."""

import base64
import hashlib
import json
import re
import socket
import stat
import threading
from pathlib import Path

import pytest
from redis.asyncio.lock import Lock

from deploy.passwords import ADMINISTRATOR, load_passwords, rabbitmq_hash, redis_hash
from deploy.paths import ROOT
from deploy.ports import PortBook
from deploy.servers.broker import PORTS, PrivateBroker, amqp_url, answers_amqp, node_environment
from deploy.servers.cache import COMMANDS, render_config, render_users


@pytest.fixture
def ports(tmp_path: Path) -> PortBook:
    book = PortBook(tmp_path / "ports.json")
    book.assign(dict.fromkeys(PORTS))
    return book


def test_passwords_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "passwords.json"
    first = load_passwords(path, [ADMINISTRATOR, "fetcher"])
    second = load_passwords(path, [ADMINISTRATOR, "fetcher", "notifier"])
    assert {user: second[user] for user in first} == first
    assert len(set(second.values())) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_rabbitmq_hash_is_salt_and_digest() -> None:
    salt = b"abcd"
    assert base64.b64decode(rabbitmq_hash("word", salt)) == salt + hashlib.sha256(b"abcdword").digest()


def test_each_redis_user_reaches_only_its_own_keys() -> None:
    lines = render_users({ADMINISTRATOR: "a", "fetcher": "f"}, ["fetcher"]).splitlines()
    assert lines[0] == "user default on resetpass ~* &* +@all"
    assert lines[2].startswith(f"user fetcher on {redis_hash('f')} resetchannels ~duebell:fetcher:* -@all +ping ")
    assert "+@" not in lines[2]


def test_a_redis_user_may_say_whatever_the_services_say() -> None:
    sources = [path.read_text() for path in (ROOT / "services").glob("*/src/**/*.py")]
    lock = [Lock.LUA_RELEASE_SCRIPT, Lock.LUA_EXTEND_SCRIPT, Lock.LUA_REACQUIRE_SCRIPT]
    scripts = {word.lower() for text in (*sources, *lock) for word in re.findall(r"redis\.call\(['\"](\w+)", text)}
    methods = {word for text in sources for word in re.findall(r"\b_?redis\.(\w+)\(", text)}
    assert {"zadd", "pexpire", "get"} <= scripts
    assert scripts <= set(COMMANDS)
    made_of_scripts = {"register_script", "lock", "pipeline", "call"}
    assert {"del" if word == "delete" else word for word in methods} - made_of_scripts <= set(COMMANDS)


def test_redis_listens_on_the_loopback_address_and_evicts_nothing() -> None:
    config = render_config(Path("/data"), 7000).splitlines()
    assert "bind 127.0.0.1" in config
    assert "maxmemory-policy noeviction" in config
    assert "appendonly yes" in config


def test_the_broker_keeps_no_password_in_its_files(tmp_path: Path, ports: PortBook) -> None:
    broker = PrivateBroker(tmp_path / "r", Path("/sbin/rabbitmq-server"), ports, {ADMINISTRATOR: "the-password"})
    programs = broker.programs()
    texts = [path.read_text() for path in (tmp_path / "r").rglob("*") if path.is_file()]
    assert not [text for text in texts if "the-password" in text]
    assert not [program for program in programs if "the-password" in json.dumps(program.launch_file())]


def test_the_broker_has_one_user_and_it_is_not_guest(tmp_path: Path, ports: PortBook) -> None:
    PrivateBroker(tmp_path / "r", Path("/sbin/rabbitmq-server"), ports, {ADMINISTRATOR: "p"}).programs()
    definitions = json.loads((tmp_path / "r" / "definitions.json").read_text())
    assert [user["name"] for user in definitions["users"]] == [ADMINISTRATOR]


def test_nodes_in_two_folders_have_different_names(ports: PortBook) -> None:
    names = {node_environment(Path(folder), ports)["RABBITMQ_NODENAME"] for folder in ("/a", "/b")}
    assert len(names) == 2


def test_an_amqp_url_carries_any_password() -> None:
    assert amqp_url("u", "p@/:", "127.0.0.1:1", "a b") == "amqp://u:p%40%2F%3A@127.0.0.1:1/a%20b"


def test_an_open_port_alone_is_no_broker() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.close()

        answering = threading.Thread(target=hang_up)
        answering.start()
        assert not answers_amqp("127.0.0.1", listener.getsockname()[1])
        answering.join()
