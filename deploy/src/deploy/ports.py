"""Choosing ports: the wished one, else the one of last time, else a free one outside the ephemeral range."""

import json
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from deploy.errors import StackError
from deploy.files import write_table

LOOPBACK = "127.0.0.1"
_LOWEST, _HIGHEST = 10_000, 32_000


def is_free(port: int) -> bool:
    """Whether nobody listens on ``port`` of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def random_port() -> int:
    """A candidate that no outgoing connection can take: the ephemeral ranges of Linux and macOS begin higher."""
    return _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST)


def choose_port(
    candidates: Iterable[int],
    taken: Iterable[int],
    *,
    free: Callable[[int], bool] = is_free,
    candidate: Callable[[], int] = random_port,
) -> int:
    """The first of ``candidates`` that is free and not in ``taken``, else any such port.

    Raises:
        StackError: nothing was free in 200 tries.
    """
    avoid = set(taken)
    for port in candidates:
        if port not in avoid and free(port):
            return port
    for _ in range(200):
        port = candidate()
        if port not in avoid and free(port):
            return port
    raise StackError("no free port was found on 127.0.0.1")


class PortBook:
    """The ports of one stack, remembered in a JSON file so that a restart keeps them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ports: dict[str, int] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def __getitem__(self, name: str) -> int:
        return self._ports[name]

    def get(self, name: str) -> int | None:
        return self._ports.get(name)

    def assign(self, wishes: Mapping[str, int | None], running: Iterable[str] = ()) -> None:
        """Give every name of ``wishes`` a port and remember it; None is no wish. Names in ``running`` keep theirs."""
        keep = {name for name in running if name in self._ports}
        taken = {port for name, port in self._ports.items() if name in keep or name not in wishes}
        for name, wish in wishes.items():
            if name in keep:
                continue
            remembered = self._ports.get(name)
            port = choose_port([p for p in (wish, remembered) if p is not None], taken)
            self._ports[name] = port
            taken.add(port)
        write_table(self._path, self._ports)

    def claim(self, name: str, wish: int | None, *, is_ours: bool) -> int:
        """The port of a service: exactly ``wish`` when there is one, else last time's or a free one.

        Args:
            is_ours: whether the process behind ``name`` runs and so may itself be the one that listens.

        Raises:
            StackError: somebody else listens on ``wish``.
        """
        remembered = self._ports.get(name)
        others = {port for other, port in self._ports.items() if other != name}
        if is_ours and remembered is not None and wish in {None, remembered}:
            return remembered
        if wish is not None and not is_free(wish):
            raise StackError(f"port {wish}, meant for {name}, is taken by another process")
        port = choose_port([p for p in (wish, remembered) if p is not None], () if wish else others)
        self._ports[name] = port
        write_table(self._path, self._ports)
        return port
