"""Composition root."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic

from ingress.accept import AcceptWebhook
from ingress.adapters.outbox import RabbitOutbox
from ingress.bursts import Lanes, TenantBursts
from ingress.metrics import DoorFigures
from ingress.settings import IngressSettings
from ingress.signatures import any_meta_signature_matches, twilio_signature_matches, xero_signature_matches
from ingress.webhooks import Webhooks, webhook_routes
from shared.runtime.service import Core, Service


@asynccontextmanager
async def create_app(settings: IngressSettings, core: Core) -> AsyncIterator[Service]:
    figures = DoorFigures(core.registry)
    lanes = Lanes(TenantBursts(monotonic), figures.sorted_into)
    accept = AcceptWebhook(RabbitOutbox(core.events, core.clock), lanes.of)
    webhooks = Webhooks(accept, figures, core.clock)
    keys = tuple(key.get_secret_value() for key in settings.xero_webhook_keys)
    yield Service(
        routes=webhook_routes(
            webhooks,
            verify_xero=partial(xero_signature_matches, keys=keys),
            verify_whatsapp=partial(any_meta_signature_matches, app_secrets=settings.app_secrets),
            verify_token=settings.whatsapp_verify_token.get_secret_value(),
            verify_twilio=_twilio(settings),
        )
    )


def _twilio(settings: IngressSettings) -> Callable[[bytes, str | None, str], bool] | None:
    url = settings.twilio_webhook_url
    if url is None or not settings.twilio_auth_tokens:
        return None
    tokens = tuple(token.get_secret_value() for token in settings.twilio_auth_tokens)

    def matches(body: bytes, signature: str | None, query: str) -> bool:
        return twilio_signature_matches(body, signature, f"{url}?{query}" if query else url, tokens)

    return matches
