"""The operator's commands as they are typed, against the addresses as they are served."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from shared.errors import PermanentError, RetryableError
from shared.telemetry.correlation import correlated
from token_broker.admin import command as admin
from token_broker.admin.calls import MOST_BYTES, Call, CallSigner, Gate
from token_broker.admin.client import AdminClient, Unreachable
from token_broker.admin.disconnect import Disconnected
from token_broker.admin.http import Commands, admin_routes
from token_broker.admin.overview import Shown
from token_broker.admin.refusals import Affected, CommandRefused, Refusal
from token_broker.admin.revoke import Revoked
from token_broker.admin.texts import as_json, plain, table
from token_broker.reseal import Resealed
from unit.token_broker.assembly import ACME, BRIO, NOON

SECRET = SecretStr("an admin secret for tests")
SIGNER = CallSigner(SECRET)
GRANT = {"grant": "user-1", "refreshed_at": NOON, "expires_at": NOON + timedelta(minutes=30)}


def shown(tenant: tuple[str, str]) -> Shown:
    return Shown(*tenant, status="connected", reason="", since=NOON, refresh="none", key="k1", **GRANT)  # type: ignore[arg-type]  # the names fit


class FakeCommands:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.error: Exception | None = None
        self.disconnected = Disconnected(*ACME, was_listed=True, grant="kept")
        self.resealed = [Resealed(0, 0, {"k1": 4}, ())]

    async def overview(self) -> Sequence[Shown]:
        return [shown(ACME), shown(BRIO)]

    async def disconnect(self, tenant_id: str) -> Disconnected:
        self._note(tenant_id)
        return self.disconnected

    async def revoke(self, tenant_id: str, *, several: bool) -> Revoked:
        self._note((tenant_id, several))
        return Revoked((Affected(*ACME), Affected(*BRIO)))

    async def reseal(self, limit: int) -> Resealed:
        self._note(limit)
        return self.resealed.pop(0) if len(self.resealed) > 1 else self.resealed[0]

    def _note(self, asked: object) -> None:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error


@pytest.fixture
def fake() -> FakeCommands:
    return FakeCommands()


@pytest.fixture
async def http(fake: FakeCommands) -> AsyncIterator[httpx.AsyncClient]:
    commands = Commands(fake.overview, fake.disconnect, fake.revoke, fake.reseal, "k2")  # type: ignore[arg-type]  # fakes
    routes = admin_routes(Gate(SIGNER, lambda: NOON), commands, correlated)
    transport = httpx.ASGITransport(Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://broker.test") as opened:
        yield opened


@pytest.fixture
def client(http: httpx.AsyncClient) -> AdminClient:
    return AdminClient(http, SIGNER, lambda: NOON)


async def signed(http: httpx.AsyncClient, method: str, path: str, body: bytes = b"") -> httpx.Response:
    authorization = SIGNER.authorization(Call(method, path, body), NOON)
    return await http.request(method, path, content=body, headers={"Authorization": authorization})


async def test_answers_reach_the_client_as_they_were_given(client: AdminClient, fake: FakeCommands) -> None:
    assert await client.connections() == (shown(ACME), shown(BRIO))
    assert await client.disconnect(ACME[0]) == fake.disconnected
    assert await client.revoke(ACME[0], several=True) == Revoked((Affected(*ACME), Affected(*BRIO)))
    assert (await client.reseal(7)).first_key == "k2"
    assert fake.asked == [ACME[0], (ACME[0], True), 7]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/connections"),
        ("POST", "/admin/disconnect"),
        ("POST", "/admin/revoke"),
        ("POST", "/admin/keys/reseal"),
    ],
)
async def test_what_is_not_signed_gets_nothing(
    http: httpx.AsyncClient, fake: FakeCommands, method: str, path: str
) -> None:
    for authorization in ("", "Bearer x", SIGNER.authorization(Call("GET", "/admin/else"), NOON)):
        answer = await http.request(method, path, content=b"{}", headers={"Authorization": authorization})
        assert (answer.status_code, answer.content) == (401, b"")
        assert answer.headers["cache-control"] == "no-store"
    assert fake.asked == []


async def test_a_signed_call_is_taken_once(http: httpx.AsyncClient, fake: FakeCommands) -> None:
    body = b'{"tenant_id": "tenant-acme"}'
    headers = {"Authorization": SIGNER.authorization(Call("POST", "/admin/disconnect", body), NOON)}
    answers = [await http.post("/admin/disconnect", content=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[0].headers["cache-control"] == "no-store"
    assert "set-cookie" not in answers[0].headers
    assert fake.asked == [ACME[0]]


async def test_an_endless_body_is_not_read_to_its_end(http: httpx.AsyncClient) -> None:
    parts = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal parts
        while True:
            parts += 1
            yield b"x" * 1024

    answer = await http.post("/admin/disconnect", content=endless())
    assert answer.status_code == 401
    assert parts <= MOST_BYTES // 1024 + 2


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"tenant_id": 7}', b'{"limit": true}', b'{"limit": 1001}', b"\xff"]
)
@pytest.mark.parametrize("path", ["/admin/disconnect", "/admin/revoke", "/admin/keys/reseal"])
async def test_odd_bodies_are_refused(http: httpx.AsyncClient, fake: FakeCommands, path: str, body: bytes) -> None:
    answer = await signed(http, "POST", path, body)
    assert (answer.status_code, answer.json()["error"]) == (400, "unreadable_call")
    assert fake.asked == []


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (CommandRefused(Refusal.UNKNOWN_TENANT, "No."), 404, "unknown_tenant"),
        (CommandRefused(Refusal.ALREADY_LOST, "No."), 409, "already_lost"),
        (CommandRefused(Refusal.BUSY, "No."), 409, "busy"),
        (CommandRefused(Refusal.XERO_SILENT, "No."), 503, "xero_silent"),
        (RetryableError("database_unavailable", "host=secret-host"), 503, "out_of_order"),
        (PermanentError("seal_broken", "k1.ciphertext"), 500, "unreadable_record"),
    ],
)
async def test_every_end_has_its_status(
    http: httpx.AsyncClient, fake: FakeCommands, error: Exception, status: int, word: str
) -> None:
    fake.error = error
    answer = await signed(http, "POST", "/admin/disconnect", b'{"tenant_id": "a"}')
    assert (answer.status_code, answer.json()["error"]) == (status, word)
    assert "secret-host" not in answer.text
    assert "ciphertext" not in answer.text


async def test_the_client_says_what_it_met(fake: FakeCommands, http: httpx.AsyncClient) -> None:
    other = AdminClient(http, CallSigner(SecretStr("another admin secret")), lambda: NOON)
    with pytest.raises(Unreachable, match="DUEBELL_ADMIN_SECRET"):
        await other.connections()
    for answer in (httpx.Response(200, text="<html>"), httpx.Response(502), httpx.Response(200, json=[])):
        reply = httpx.MockTransport(lambda _, answer=answer: answer)
        async with httpx.AsyncClient(transport=reply, base_url="http://proxy.test") as strange:
            with pytest.raises(Unreachable, match="no token-broker"):
                await AdminClient(strange, SIGNER, lambda: NOON).connections()


async def test_disconnecting_says_what_is_done(client: AdminClient, fake: FakeCommands) -> None:
    said: list[str] = []
    await admin.disconnect(client, ACME[0], said.append)
    assert said == [
        "Disconnecting Acme Ltd (tenant-acme) at Xero; its work waits until somebody connects it again.",
        "Disconnected.",
    ]
    fake.disconnected = Disconnected(*ACME, was_listed=False, grant="unrevoked", grant_trouble="Xero did not act.")
    await admin.disconnect(client, ACME[0], said.append)
    assert said[3].startswith("Xero had disconnected it already")
    assert said[4] == "Its grant is not used any more, but stands: Xero did not act. The command revoke ends it."
    with pytest.raises(CommandRefused):
        await admin.disconnect(client, "nobody", said.append)
    assert fake.asked == [ACME[0], ACME[0]]


async def test_revoking_lists_what_ended(client: AdminClient, fake: FakeCommands) -> None:
    said: list[str] = []
    await admin.revoke(client, ACME[0], True, said.append)
    assert said[1:] == ["  Acme Ltd (tenant-acme)", "  Brio GmbH (tenant-brio)", "Revoked. Organisations ended: 2."]


async def test_keys_are_rotated_until_nothing_is_left(client: AdminClient, fake: FakeCommands) -> None:
    said: list[str] = []
    fake.resealed = [Resealed(200, 50, {"k1": 100, "k2": 400}, ()), Resealed(50, 0, {"k2": 500}, ())]
    assert await admin.rotate_keys(client, said.append) == 0
    assert said == [
        "200 grants sealed with k2, 50 left",
        "50 grants sealed with k2, 0 left",
        "Keys in use: k2 (500 tokens).",
        "All keys but k2 may be removed from DUEBELL_TOKEN_KEYS.",
    ]


async def test_what_cannot_be_rotated_is_said(client: AdminClient, fake: FakeCommands) -> None:
    said: list[str] = []
    fake.resealed = [Resealed(1, 0, {"k1": 2, "k2": 2}, ("user-9",))]
    assert await admin.rotate_keys(client, said.append) == admin.REFUSED
    assert said[-1] == "These grants do not open and must be connected anew: user-9."
    fake.resealed, fake.asked = [Resealed(0, 1, {"k1": 2}, ())], []
    assert await admin.rotate_keys(client, said.append) == admin.REFUSED
    assert (len(fake.asked), said[-1]) == (5, "Some grants were busy every time; run it again.")


def test_the_table_shows_names_and_times_and_nothing_a_terminal_obeys() -> None:
    lines = table([shown(ACME), shown(("t", "Evil\x1b[2J\nLtd"))]).splitlines()
    assert lines[0].split() == ["tenant", "name", "status", "since", "grant", "refreshed", "expires", "refresh", "key"]
    assert "2026-06-23 12:30:00 UTC" in lines[1]
    assert "Evil?[2J Ltd" in lines[2]
    assert table([]) == "No organisation was ever connected."
    assert json.loads(as_json([shown(ACME)]))[0]["tenant_id"] == ACME[0]
    assert plain("") == "-"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("DUEBELL_ADMIN_SECRET", "an admin secret for tests")
    return monkeypatch


def test_what_is_wrong_is_one_line_and_an_exit_code(
    settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert admin.main(["--url", "http://127.0.0.1:9", "connections"]) == admin.REFUSED
    assert "no answer from the token-broker at http://127.0.0.1:9" in capsys.readouterr().err
    settings.setenv("DUEBELL_TOKEN_BROKER_PORT", "0")
    assert admin.main(["connections"]) == admin.WRONG
    settings.delenv("DUEBELL_ADMIN_SECRET")
    assert admin.main(["connections"]) == admin.WRONG
    assert "DUEBELL_ADMIN_SECRET is missing" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        admin.main(["disconnect"])


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:8181"),
        ("0.0.0.0", "http://127.0.0.1:8181"),
        ("10.0.0.7", "http://10.0.0.7:8181"),
        ("::1", "http://[::1]:8181"),
    ],
)
def test_a_token_broker_is_found_where_it_listens(settings: pytest.MonkeyPatch, host: str, url: str) -> None:
    settings.setenv("DUEBELL_TOKEN_BROKER_PORT", "8181")
    settings.setenv("DUEBELL_HOST", host)
    assert admin.AdminSettings().url == url
