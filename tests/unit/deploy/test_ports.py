"""Which port a process gets."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.errors import StackError
from deploy.ports import LOOPBACK, PortBook, choose_port, is_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_first_free_candidate_is_taken() -> None:
    assert choose_port([1, 2, 3], taken=[1], free=lambda port: port == 3, candidate=lambda: 9) == 3


def test_without_a_free_candidate_any_free_port_will_do() -> None:
    tries = iter([4, 5, 6])
    assert choose_port([1], taken=[4], free=lambda port: port == 6, candidate=lambda: next(tries)) == 6


def test_no_free_port_at_all_stops() -> None:
    with pytest.raises(StackError, match="no free port"):
        choose_port([], taken=[], free=lambda _: False, candidate=lambda: 1)


def test_a_port_somebody_listens_on_is_not_free(taken: int) -> None:
    assert not is_free(taken)


def test_ports_differ_and_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    book = PortBook(path)
    book.assign({"amqp": None, "management": None, "redis": None})
    first = [book[name] for name in ("amqp", "management", "redis")]
    again = PortBook(path)
    again.assign({"amqp": None, "management": None, "redis": None})
    assert len(set(first)) == 3
    assert [again[name] for name in ("amqp", "management", "redis")] == first


def test_a_wish_that_is_taken_gives_way_for_a_server(tmp_path: Path, taken: int) -> None:
    book = PortBook(tmp_path / "ports.json")
    book.assign({"amqp": taken})
    assert book["amqp"] != taken


def test_a_running_server_keeps_its_port(tmp_path: Path, taken: int) -> None:
    book = PortBook(tmp_path / "ports.json")
    (tmp_path / "ports.json").write_text(f'{{"amqp": {taken}}}')
    book = PortBook(tmp_path / "ports.json")
    book.assign({"amqp": None}, running=["amqp"])
    assert book["amqp"] == taken


def test_a_service_gets_exactly_the_port_that_was_asked_for_or_none(tmp_path: Path, taken: int) -> None:
    book = PortBook(tmp_path / "ports.json")
    with pytest.raises(StackError, match=f"port {taken}, meant for ingress-1, is taken"):
        book.claim("ingress-1", taken, is_ours=False)


def test_a_service_that_listens_itself_keeps_its_port(tmp_path: Path, taken: int) -> None:
    (tmp_path / "ports.json").write_text(f'{{"ingress-1": {taken}}}')
    assert PortBook(tmp_path / "ports.json").claim("ingress-1", taken, is_ours=True) == taken


def test_a_free_port_for_one_replica_is_not_given_to_the_next(tmp_path: Path) -> None:
    book = PortBook(tmp_path / "ports.json")
    ports = [book.claim(f"fetcher-{replica}", None, is_ours=False) for replica in range(1, 6)]
    assert len(set(ports)) == 5
