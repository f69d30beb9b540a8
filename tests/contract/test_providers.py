"""What every provider must keep to; a further one is one more case in ``support.provider_cases``."""

import asyncio
import json
import socket
import struct
from collections.abc import Callable

import httpx
import pytest

from notifier.ports import Accepted, Outcome, Rejected, Unknown
from notifier.provider_errors import TABLES, handling, is_held, is_listed, reason_of, remedy_of
from notifier.providers import Provider, Sought
from notifier.whatsapp_errors import ErrorClass
from shared.contracts.whatsapp import WhatsAppUpdateReceivedV1
from support.builders import NOON
from support.outbox import FakeOutbox
from support.provider_cases import CASES, MESSAGE, Case, door
from support.sizes import rounds

pytestmark = pytest.mark.parametrize("case", CASES, ids=str)
REFERENCE = "v1.Zm9vYmFy-_x"


class Wire(httpx.AsyncBaseTransport):
    """Keeps every request; ``answer`` makes the answer, or raises."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._answer = answer
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        return self._answer(request)


async def send(case: Case, answer: Callable[[httpx.Request], httpx.Response]) -> tuple[Outcome, list[httpx.Request]]:
    wire = Wire(answer)
    async with httpx.AsyncClient(transport=wire, base_url="http://provider") as client:
        outcome = await case.make(client, deadline_seconds=5).send(MESSAGE, REFERENCE)
    return outcome, wire.requests


async def test_accepted_has_the_providers_id_and_the_request_our_reference(case: Case) -> None:
    outcome, requests = await send(case, lambda _: httpx.Response(case.accepted_status, json=dict(case.accepted)))
    assert outcome == Accepted(case.message_id)
    (request,) = requests
    assert (request.method, case.recipient_in(request)) == ("POST", MESSAGE.to)
    assert case.reference_in(request) == REFERENCE


@pytest.mark.parametrize("error_class", [*(each for each in ErrorClass if each is not ErrorClass.OTHER)])
async def test_a_refusal_is_of_the_class_of_its_code(case: Case, error_class: ErrorClass) -> None:
    status, body = case.refusal(case.codes[error_class])
    outcome, requests = await send(case, lambda _: httpx.Response(status, json=dict(body)))
    assert isinstance(outcome, Rejected)
    assert (outcome.handling.error_class, outcome.code) == (error_class, case.codes[error_class])
    assert outcome.reason == reason_of(outcome.code, case.name)
    assert MESSAGE.to.lstrip("+") not in f"{outcome.reason} {outcome.details}"
    assert len(requests) == 1


async def test_a_code_that_nobody_knows_is_ours_and_not_tried_again(case: Case) -> None:
    status, body = case.refusal(999_999)
    outcome, _ = await send(case, lambda _: httpx.Response(status, json=dict(body)))
    assert isinstance(outcome, Rejected)
    assert outcome.handling.error_class is ErrorClass.OURS
    assert not is_listed(outcome.reason)


async def test_what_proves_nothing_is_unknown(case: Case) -> None:
    accepted = json.dumps(dict(case.accepted))
    answers = [
        *(httpx.Response(case.accepted_status, json=dict(body)) for body in case.without_id),
        httpx.Response(case.accepted_status, text=accepted[: len(accepted) // 2]),
        httpx.Response(case.accepted_status, text="<html>"),
        httpx.Response(case.accepted_status, json=[]),
        httpx.Response(500, text="oops"),
        httpx.Response(502, json={"message": "bad gateway"}),
        httpx.Response(503, json={"error": "busy"}),
        httpx.Response(404, text="not here"),
        httpx.Response(429, text="slow down"),
        httpx.Response(400, json={"code": "21211"}),
        httpx.Response(302, headers={"location": "http://elsewhere/"}),
    ]
    for answer in answers:
        outcome, requests = await send(case, lambda _, answer=answer: answer)  # type: ignore[misc]  # bound at once
        assert isinstance(outcome, Unknown), (answer.status_code, answer.text)
        assert len(requests) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        *((error, Rejected) for error in (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)),
        *((error, Unknown) for error in (httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError)),
        (httpx.RemoteProtocolError, Unknown),
    ],
)
async def test_only_a_connection_that_was_never_made_may_be_tried_again(
    case: Case, error: type[Exception], kind: type
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("x")

    outcome, _ = await send(case, fail)
    assert isinstance(outcome, kind)
    if isinstance(outcome, Rejected):
        assert outcome.handling.error_class is ErrorClass.RETRY
        assert not outcome.handling.burns
        assert remedy_of(outcome.reason) == TABLES[case.name].not_reached.breaker.remedy  # type: ignore[union-attr]  # it has one


class Phases(httpx.AsyncBaseTransport):
    """Reaches the phases given, and hangs there."""

    def __init__(self, *phases: str) -> None:
        self._phases = phases

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for phase in self._phases:
            await request.extensions["trace"](phase, {})
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


CONNECTING = ("connection.connect_tcp.started", "connection.start_tls.started")
WRITING = "http11.send_request_headers.started"


@pytest.mark.parametrize(
    ("phases", "seconds_to_connect", "kind"),
    [(CONNECTING, 0.0, Rejected), ((*CONNECTING, WRITING), 0.0, Unknown), ((*CONNECTING, WRITING), 1.6, Rejected)],
)
async def test_only_what_began_to_be_written_is_unknown(
    case: Case, phases: tuple[str, ...], seconds_to_connect: float, kind: type
) -> None:
    """And what cannot begin in time is never written."""
    readings = iter([0.0, seconds_to_connect])
    async with httpx.AsyncClient(transport=Phases(*phases), base_url="http://provider") as client:
        provider = case.make(client, deadline_seconds=0.05, monotonic=lambda: next(readings))
        assert isinstance(await provider.send(MESSAGE, REFERENCE), kind)


@pytest.mark.parametrize(("end", "kind"), [("reset", Unknown), ("truncated", Unknown), ("refused", Rejected)])
async def test_over_a_real_socket(case: Case, end: str, kind: type) -> None:
    accepted = json.dumps(dict(case.accepted)).encode()
    taken: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(await reader.readuntil(b"\r\n\r\n"))
        if end == "reset":
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        head = f"HTTP/1.1 {case.accepted_status} X\r\ncontent-length: {len(accepted)}\r\n\r\n"
        writer.write(head.encode() + accepted[: len(accepted) // 2])
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        if end == "refused":
            server.close()
            await server.wait_closed()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            outcome = await case.make(client, deadline_seconds=10).send(MESSAGE, REFERENCE)
    assert isinstance(outcome, kind)
    assert len(taken) == (0 if end == "refused" else 1)


def test_every_code_that_stops_something_says_what_to_do_and_only_its_own_table_knows_it(case: Case) -> None:
    for code in case.codes.values():
        assert TABLES[case.name].is_listed(code)
        assert not any(table.is_listed(code) for name, table in TABLES.items() if name != case.name)
    stopping = [case.codes[each] for each in (ErrorClass.ACCOUNT, ErrorClass.TEMPLATE)]
    assert all(remedy_of(reason_of(code, case.name)) for code in stopping)
    assert all(is_held(code, case.name) for code in stopping)
    assert not is_held(case.codes[ErrorClass.RECIPIENT], case.name)
    assert handling(case.codes[ErrorClass.RECIPIENT], case.name).burns


async def test_a_signed_status_is_one_event_that_finds_our_message(case: Case) -> None:
    outbox = FakeOutbox()
    async with door(outbox) as client:
        for _ in range(2):
            answer = await client.send(case.callback(REFERENCE, case.message_id))
            assert (answer.status_code, answer.content) == (200, b"")
    first, second = outbox.events
    assert isinstance(first, WhatsAppUpdateReceivedV1)
    assert isinstance(second, WhatsAppUpdateReceivedV1)
    told = (first.provider, first.reference, first.provider_message_id, first.status)
    assert told == (case.name, REFERENCE, case.message_id, "delivered")
    assert first.update_id == second.update_id


async def test_nothing_forged_gets_in(case: Case) -> None:
    outbox, refused = FakeOutbox(), 0
    async with door(outbox) as client:
        for number in range(rounds(1000, 60)):
            answer = await client.send(_forged(case, number))
            assert (answer.status_code, answer.content) == (401, b"")
            refused += 1
    assert refused == rounds(1000, 60)
    assert (outbox.events, outbox.kept) == ([], [])


def _forged(case: Case, number: int) -> httpx.Request:
    """In turns: another character in the signature, none, another byte in the body, or another's signature."""
    request = case.callback(f"{REFERENCE}{number}", case.message_id)
    signature = request.headers[case.signature]
    match number % 4:
        case 0:
            place = -2 - number // 4 % (len(signature) - 10)
            other = "0" if signature[place] != "0" else "1"
            request.headers[case.signature] = signature[:place] + other + signature[place:][1:]
        case 1:
            del request.headers[case.signature]
        case 2:
            content = request.content.replace(b"delivered", b"failed")
            request.headers["content-length"] = str(len(content))
            headers = request.headers
            return httpx.Request(request.method, request.url, content=content, headers=headers)
        case _:
            elsewhere = case.callback("another", case.message_id)
            if elsewhere.url == request.url:
                elsewhere.headers[case.signature] = request.headers[case.signature]
                return elsewhere
            request.headers[case.signature] = elsewhere.headers[case.signature]
    return request


async def test_what_it_can_do_besides_is_said(case: Case) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        return httpx.Response(500, text="oops")

    def cut(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("x")

    for answer in (broken, cut):
        async with httpx.AsyncClient(transport=Wire(answer), base_url="http://provider") as client:
            provider: Provider = case.make(client, deadline_seconds=5)
            assert not await provider.look_up(Sought(MESSAGE.to, NOON, NOON, "INV-1"))
            assert provider.capabilities.look_up is (case.name == "twilio")
