"""The one POST, its answer, and what every error means."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from notifier.adapters.whatsapp import WhatsAppProvider, request_body
from notifier.ports import Accepted, Outcome, Rejected, TemplateMessage, Unknown
from notifier.sender import next_try
from notifier.whatsapp_errors import NOT_REACHED, ErrorClass, handling, is_listed, retry_after
from support.builders import NOON

MESSAGE = TemplateMessage("+919876543210", "invoice_overdue", "en", (("contact_name", "Asha"), ("amount", "INR 1.00")))
PATH = "/v25.0/1/messages"


async def answer(respond: Callable[[httpx.Request], httpx.Response], deadline: float = 5) -> Outcome:
    async with httpx.AsyncClient(transport=httpx.MockTransport(respond), base_url="http://graph") as client:
        return await WhatsAppProvider(client, path=PATH, deadline_seconds=deadline).send(MESSAGE, "v1.ref")


async def test_the_request_is_a_template_with_named_parameters() -> None:
    seen: list[Any] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.extend([request.method, request.url.path, json.loads(request.content)])
        return httpx.Response(200, json={"messages": [{"id": "wamid.1", "message_status": "accepted"}]})

    assert await answer(respond) == Accepted("wamid.1")
    assert seen == ["POST", PATH, request_body(MESSAGE, "v1.ref")]
    assert seen[2] == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+919876543210",
        "type": "template",
        "biz_opaque_callback_data": "v1.ref",
        "template": {
            "name": "invoice_overdue",
            "language": {"code": "en"},
            "components": [
                {
                    "type": "body",
                    "parameters": [
                        {"type": "text", "parameter_name": "contact_name", "text": "Asha"},
                        {"type": "text", "parameter_name": "amount", "text": "INR 1.00"},
                    ],
                }
            ],
        },
    }


async def test_held_for_quality_is_accepted() -> None:
    body = {"messages": [{"id": "wamid.1", "message_status": "held_for_quality_assessment"}]}
    assert await answer(lambda _: httpx.Response(200, json=body)) == Accepted("wamid.1", held=True)


@pytest.mark.parametrize(
    ("contacts", "number"),
    [
        ([{"input": "+5511987654321", "wa_id": "551187654321"}], "+551187654321"),
        ([{"wa_id": "+551187654321"}], "+551187654321"),
        ([{"wa_id": "US.1234567890"}], None),
        ([{"wa_id": "1" * 16}], None),
        ([{}], None),
        ([], None),
        ("nonsense", None),
    ],
)
async def test_the_number_that_whatsapp_knows_the_recipient_by(contacts: object, number: str | None) -> None:
    body = {"contacts": contacts, "messages": [{"id": "wamid.1"}]}
    assert await answer(lambda _: httpx.Response(200, json=body)) == Accepted("wamid.1", whatsapp_phone=number)


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(500, text="oops"),
        httpx.Response(502, json={"message": "bad gateway"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"messages": []}),
        httpx.Response(200, json={"messages": [{"id": ""}]}),
        httpx.Response(404, text="not here"),
        httpx.Response(503, json={"error": "busy"}),
    ],
)
async def test_what_proves_nothing_is_unknown(response: httpx.Response) -> None:
    assert isinstance(await answer(lambda _: response), Unknown)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError, Rejected),
        (httpx.ConnectTimeout, Rejected),
        (httpx.PoolTimeout, Rejected),
        (httpx.ReadTimeout, Unknown),
        (httpx.WriteTimeout, Unknown),
        (httpx.ReadError, Unknown),
        (httpx.WriteError, Unknown),
        (httpx.RemoteProtocolError, Unknown),
    ],
)
async def test_only_a_connection_that_was_never_made_may_be_tried_again(error: type[Exception], kind: type) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("x")

    outcome = await answer(fail)
    assert isinstance(outcome, kind)
    if isinstance(outcome, Rejected):
        assert outcome.handling.error_class is ErrorClass.RETRY


async def test_no_answer_in_time_is_unknown() -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with httpx.AsyncClient(transport=httpx.MockTransport(hang), base_url="http://graph") as client:
        outcome = await WhatsAppProvider(client, path=PATH, deadline_seconds=0.05).send(MESSAGE, "v1.ref")
    assert outcome == Unknown("no_answer_TimeoutError")


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_graph_error_is_a_rejection_whatever_the_status(status: int) -> None:
    body = {"error": {"code": 131026, "message": "m", "error_data": {"details": "d"}, "fbtrace_id": "f"}}
    outcome = await answer(lambda _: httpx.Response(status, json=body))
    assert outcome == Rejected("whatsapp_131026", handling(131026), 131026, "f d")


TABLE = {
    ErrorClass.RETRY: [1, 2, 4, 80007, 130429, 131000, 131016, 133004, 131053, 131056, 131057],
    ErrorClass.ACCOUNT: [
        *(0, 3, 10, 33, 190, 200, 250, 299, 368, 131005, 131031, 131037, 131042, 131045, 131048, 131064),
        *(133000, 133010, 133016, 134011),
    ],
    ErrorClass.TEMPLATE: [132001, 132007, 132015, 132016, 131063],
    ErrorClass.RECIPIENT: [130403, 130472, 130497, 131021, 131026, 131049, 131050],
    ErrorClass.OURS: [100, 131008, 131009, 135000, 131030, 131047, 131051, 131062, 132000, 132005, 132012, 132018],
    ErrorClass.OTHER: [131052],
}


@pytest.mark.parametrize(("error_class", "code"), [(name, code) for name, codes in TABLE.items() for code in codes])
def test_the_error_table(error_class: ErrorClass, code: int) -> None:
    assert is_listed(code)
    assert handling(code).error_class is error_class


def test_an_unlisted_code_is_never_retried() -> None:
    assert not is_listed(999999)
    assert next_try(Rejected("x", handling(999999), 999999), 1, NOON) == (None, True)


def test_when_to_try_again() -> None:
    def after(code: int, tries: int) -> tuple[Any, bool]:
        return next_try(Rejected("x", handling(code), code), tries, NOON)

    assert after(131056, 1) == (NOON + timedelta(seconds=1), True)
    assert after(131056, 3) == (NOON + timedelta(seconds=16), True)
    assert after(131056, 6) == (None, True)
    assert after(131000, 2) == (NOON + timedelta(seconds=4), True)
    assert after(131000, 3) == (None, True)
    assert after(132015, 50) == (NOON + timedelta(hours=3), False)
    assert after(130429, 50) == (NOON + timedelta(seconds=30), False)
    assert after(190, 50) == (NOON + timedelta(minutes=5), False)
    assert after(132001, 1) == (NOON + timedelta(hours=3), False)
    assert after(131049, 1) == (None, True)
    assert after(131026, 1) == (None, True)
    assert retry_after(100) == timedelta(hours=1)


class Hanging(httpx.AsyncBaseTransport):
    """Goes through the phases of a request as httpcore names them, and never comes to an end."""

    def __init__(self, *phases: str) -> None:
        self._phases = phases

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for phase in self._phases:
            await request.extensions["trace"](phase, {})
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


CONNECTING = ("connection.connect_tcp.started", "connection.start_tls.started")
WRITING = "http11.send_request_headers.started"


async def hang(*phases: str, monotonic: Callable[[], float] = lambda: 0.0) -> Outcome:
    async with httpx.AsyncClient(transport=Hanging(*phases), base_url="http://graph") as client:
        return await WhatsAppProvider(client, path=PATH, deadline_seconds=0.05, monotonic=monotonic).send(MESSAGE, "r")


async def test_only_what_began_to_be_written_is_unknown() -> None:
    assert await hang(*CONNECTING) == Rejected("not_reached_TimeoutError", NOT_REACHED)
    assert await hang(*CONNECTING, WRITING) == Unknown("no_answer_TimeoutError")
    assert await hang(WRITING) == Unknown("no_answer_TimeoutError")


async def test_a_request_that_cannot_begin_in_time_is_never_written() -> None:
    readings = iter([0.0, 1.6])
    outcome = await hang(*CONNECTING, WRITING, monotonic=lambda: next(readings))
    assert outcome == Rejected("not_reached_TooLateToStart", NOT_REACHED)
