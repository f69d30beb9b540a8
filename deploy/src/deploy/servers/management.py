"""RabbitMQ's management HTTP API, as far as users, rights and virtual hosts go."""

from collections.abc import Iterable
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx

from deploy.passwords import ADMINISTRATOR
from shared.topology.permissions import Permissions


class Management:
    """A client as ``user``; a refusal raises :class:`httpx.HTTPStatusError`."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, auth=(user, password), timeout=10, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def is_ready(self) -> bool:
        """The API listens a little later than AMQP does."""
        try:
            return self._http.get("/api/whoami").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def make_vhost(self, vhost: str, users: Iterable[str] = (ADMINISTRATOR,)) -> None:
        """Create ``vhost`` and give ``users`` every right in it."""
        self._put(f"/api/vhosts/{_part(vhost)}", {})
        for user in users:
            self._put(
                f"/api/permissions/{_part(vhost)}/{_part(user)}", {"configure": ".*", "write": ".*", "read": ".*"}
            )

    def delete_vhost(self, vhost: str) -> None:
        self._http.delete(f"/api/vhosts/{_part(vhost)}").raise_for_status()

    def set_user(self, user: str, password: str) -> None:
        """Create a user without tags: it cannot enter the management pages."""
        self._put(f"/api/users/{_part(user)}", {"password": password, "tags": ""})

    def set_rights(self, vhost: str, user: str, rights: Permissions) -> None:
        """Give exactly these rights; topic rights that are not listed any more are taken away first."""
        self._http.delete(f"/api/topic-permissions/{_part(vhost)}/{_part(user)}")
        for exchange, write in rights.topic.items():
            self._put(
                f"/api/topic-permissions/{_part(vhost)}/{_part(user)}",
                {"exchange": exchange, "write": write, "read": "^$"},
            )
        self._put(
            f"/api/permissions/{_part(vhost)}/{_part(user)}",
            {"configure": rights.configure, "write": rights.write, "read": rights.read},
        )

    def users(self) -> list[str]:
        answer = self._http.get("/api/users")
        answer.raise_for_status()
        return [str(user["name"]) for user in answer.json()]

    def delete_user(self, user: str) -> None:
        self._http.delete(f"/api/users/{_part(user)}").raise_for_status()

    def _put(self, path: str, body: dict[str, str]) -> None:
        self._http.put(path, json=body).raise_for_status()


def _part(text: str) -> str:
    return quote(text, safe="")
