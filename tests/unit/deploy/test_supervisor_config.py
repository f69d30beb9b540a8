"""Supervisord's configuration, read by supervisord's own parser."""

import dataclasses
from configparser import RawConfigParser
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from deploy.program import Program
from deploy.supervision import socket_path
from deploy.supervisor_config import render_config

FETCHER = Program(
    service="fetcher",
    replica=2,
    argv=("/usr/bin/python", "-m", "fetcher"),
    environment={"DUEBELL_TOKEN_KEYS": "k1:secret%20\"'\n$x"},
    directory=Path("/"),
    is_server=False,
)


def parsed(folder: Path, program: Program) -> RawConfigParser:
    config = RawConfigParser()
    config.read_string(render_config(folder, folder / "log", folder / "s.sock", [program]))
    return config


def test_a_process_is_started_again_and_stopped_within_thirty_seconds(tmp_path: Path) -> None:
    section = parsed(tmp_path, FETCHER)["program:fetcher-2"]
    assert section["autorestart"] == "true"
    assert section["stopsignal"] == "TERM"
    assert section["stopwaitsecs"] == "30"
    assert section["stdout_logfile"] == str(tmp_path / "log" / "fetcher-2.log")


def test_no_value_of_the_environment_is_in_the_configuration(tmp_path: Path) -> None:
    assert "secret" not in render_config(tmp_path, tmp_path / "log", tmp_path / "s.sock", [FETCHER])


def test_a_changed_variable_changes_the_configuration(tmp_path: Path) -> None:
    other = dataclasses.replace(FETCHER, environment={"DUEBELL_TOKEN_KEYS": "k2:other"})
    assert parsed(tmp_path, FETCHER) != parsed(tmp_path, other)


def test_only_the_owner_reaches_the_supervisor(tmp_path: Path) -> None:
    assert parsed(tmp_path, FETCHER)["unix_http_server"]["chmod"] == "0600"


def test_supervisord_takes_paths_with_blanks_and_percent_signs(tmp_path: Path) -> None:
    folder = tmp_path / "a b%c;d"
    (folder / "log").mkdir(parents=True)
    (folder / "programs").mkdir()
    (folder / "conf").write_text(render_config(folder, folder / "log", folder / "s.sock", [FETCHER]))
    options = ServerOptions()
    options.realize(["-c", str(folder / "conf")])
    [group] = options.process_group_configs
    [process] = group.process_configs
    assert process.command.endswith("fetcher-2.json'")
    assert process.stdout_logfile == str(folder / "log" / "fetcher-2.log")


@pytest.mark.parametrize("length", [10, 200])
def test_the_socket_path_is_never_too_long(tmp_path: Path, length: int) -> None:
    folder = Path("/tmp") / ("x" * length)
    assert len(str(socket_path(folder))) < 100
