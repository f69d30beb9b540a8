"""The HTTP door: raw body → verify → accept → answer with an empty body, whatever the answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ingress.accept import AcceptWebhook
from ingress.bodies import MAX_BODY_BYTES, BodyRoom, BodyTooLarge, read_body
from ingress.metrics import DoorFigures
from ingress.payloads import Contents, Unreadable
from ingress.signatures import word_matches
from ingress.twilio import TWILIO_BYTES, read_twilio
from ingress.whatsapp import read_whatsapp
from ingress.xero import read_xero
from shared.errors import DuebellError
from shared.runtime.clock import Clock
from shared.telemetry.correlation import correlated
from shared.telemetry.logging import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True)
class Door:
    """One webhook: who sends it, how its signature is checked, and how its body is read.

    A sender that signs its address, or says something in it, has ``signs_query``: its ``verify`` and ``read`` are given
    the query as it came after all else.
    """

    sender: str
    signature_header: str
    verify: Callable[..., bool]
    read: Callable[..., Contents]
    signs_query: bool = False
    most_bytes: int = MAX_BODY_BYTES


class Webhooks:
    def __init__(self, accept: AcceptWebhook, figures: DoorFigures, clock: Clock) -> None:
        self._accept = accept
        self._figures = figures
        self._clock = clock
        self._room = BodyRoom()

    async def receive(self, request: Request, door: Door) -> Response:
        """200 once everything is durable, 401 for a wrong signature; 408 and 413 unread, 503 when not kept."""
        started = time.perf_counter()
        with correlated(None, sender=door.sender):
            status, contents = await self._status(request, door)
            self._figures.webhooks.labels(door.sender, str(status)).inc()
            self._figures.seconds.labels(door.sender).observe(time.perf_counter() - started)
            self._figures.pieces.labels(door.sender, "event").inc(len(contents.events))
            self._figures.pieces.labels(door.sender, "unreadable").inc(len(contents.unreadable))
            _log.debug(
                "webhook.answered",
                status=status,
                events=len(contents.events),
                unreadable=len(contents.unreadable),
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )
        return Response(status_code=status)

    async def _status(self, request: Request, door: Door) -> tuple[int, Contents]:
        nothing = Contents(door.sender)
        try:
            body = await read_body(request, self._room, door.most_bytes)
        except BodyTooLarge:
            return 413, nothing
        except (TimeoutError, ClientDisconnect):
            return 408, nothing
        query = (request.scope["query_string"].decode("latin-1"),) if door.signs_query else ()
        if not door.verify(body, _only(request.headers.getlist(door.signature_header)), *query):
            return 401, nothing
        contents = self._read(door, body, *query)
        try:
            await self._accept(contents)
        except* DuebellError as group:
            _log.warning("webhook.not_kept", reasons=sorted({_reason(error) for error in group.exceptions}))
            return_status = 503
        else:
            return_status = 200
        return return_status, contents

    def _read(self, door: Door, body: bytes, *query: str) -> Contents:
        try:
            return door.read(body, self._clock(), *query)
        except RecursionError:
            # Nested more deeply than can be taken apart: kept whole.
            return Contents(door.sender, unreadable=(Unreadable(body, "unreadable_webhook"),))


def _only(values: list[str]) -> str | None:
    """Of several signatures nobody knows which one counts, and another reader would take another one."""
    return values[0] if len(values) == 1 else None


def _reason(error: BaseException) -> str:
    return error.reason if isinstance(error, DuebellError) else type(error).__name__


def webhook_routes(
    webhooks: Webhooks,
    *,
    verify_xero: Callable[[bytes, str | None], bool],
    verify_whatsapp: Callable[[bytes, str | None], bool],
    verify_token: str,
    verify_twilio: Callable[[bytes, str | None, str], bool] | None = None,
) -> list[Route]:
    """``POST /webhooks/xero``, ``GET|POST /webhooks/whatsapp`` and, for who has it, ``POST /webhooks/twilio``."""
    xero = Door("xero", "x-xero-signature", verify_xero, read_xero)
    whatsapp = Door("whatsapp", "x-hub-signature-256", verify_whatsapp, read_whatsapp)

    async def receive_xero(request: Request) -> Response:
        return await webhooks.receive(request, xero)

    async def receive_whatsapp(request: Request) -> Response:
        return await webhooks.receive(request, whatsapp)

    async def confirm_whatsapp(request: Request) -> Response:
        """Meta's handshake: repeat the challenge when the verify token is ours."""
        asked = request.query_params
        if asked.get("hub.mode") == "subscribe" and word_matches(asked.get("hub.verify_token"), verify_token):
            return PlainTextResponse(asked.get("hub.challenge", ""))
        return Response(status_code=403)

    further = [] if verify_twilio is None else [_twilio_route(webhooks, verify_twilio)]
    return [
        Route("/webhooks/xero", receive_xero, methods=["POST"]),
        Route("/webhooks/whatsapp", receive_whatsapp, methods=["POST"]),
        Route("/webhooks/whatsapp", confirm_whatsapp, methods=["GET"]),
        *further,
    ]


def _twilio_route(webhooks: Webhooks, verify: Callable[[bytes, str | None, str], bool]) -> Route:
    twilio = Door("twilio", "x-twilio-signature", verify, read_twilio, signs_query=True, most_bytes=TWILIO_BYTES)

    async def receive_twilio(request: Request) -> Response:
        return await webhooks.receive(request, twilio)

    return Route("/webhooks/twilio", receive_twilio, methods=["POST"])
