"""Prints an invoice's PDF: ``python -m fetcher.pdf TENANT INVOICE > file.pdf``, one call within Xero's limits."""

import asyncio
import sys
from contextlib import redirect_stdout

from prometheus_client import CollectorRegistry

from fetcher.adapters.calls import CALL_SECONDS, XeroCalls
from fetcher.adapters.documents import Documents
from fetcher.adapters.limiter import CallLimiter, Limits
from fetcher.adapters.tokens import AccessTokens
from fetcher.metrics import FetcherMetrics
from fetcher.settings import FetcherSettings
from shared.clients.token_broker import open_token_broker_client
from shared.errors import ConfigurationError, DuebellError
from shared.runtime.clock import utc_now
from shared.runtime.connection import open_connection
from shared.runtime.http import create_http_client
from shared.runtime.redis import create_redis
from shared.settings.base import load_settings


async def invoice_pdf(settings: FetcherSettings, tenant_id: str, invoice: str) -> bytes | None:
    """The PDF, counted by the limiter that all fetchers share; None when Xero does not show the invoice.

    Raises as :meth:`Documents.pdf` does, and ConfigurationError without RabbitMQ.
    """
    limits = Limits.of(settings)
    async with (
        create_redis(settings.redis_url.get_secret_value()) as redis,
        create_http_client(settings.xero_api_url, timeout_seconds=CALL_SECONDS + 10) as http,
        open_connection(settings.amqp_url.get_secret_value(), "fetcher.pdf") as connection,
        open_token_broker_client(connection) as broker,
    ):
        # A process of its own, whose figures nobody reads; the limiter counts the call for all.
        figures = FetcherMetrics(CollectorRegistry(), limits.per_day)
        calls = XeroCalls(http, AccessTokens(broker, utc_now), CallLimiter(redis, limits), utc_now, figures)
        return await Documents(calls).pdf(tenant_id, invoice)


def main() -> None:
    match sys.argv[1:]:
        case [tenant_id, invoice] if tenant_id and invoice:
            pass
        case _:
            sys.exit("say: python -m fetcher.pdf TENANT INVOICE > file.pdf")
    if sys.stdout.isatty():
        sys.exit("fetcher.pdf: a PDF is no text; write it to a file: … > invoice.pdf")
    document = sys.stdout.buffer
    try:
        # Whatever else says something must not end up in the file.
        with redirect_stdout(sys.stderr):
            content = asyncio.run(invoice_pdf(load_settings(FetcherSettings), tenant_id, invoice))
    except ConfigurationError as error:
        sys.stderr.write(f"fetcher.pdf: {error}\n")
        sys.exit(2)
    except DuebellError as error:
        sys.exit(f"fetcher.pdf: {error}")
    if content is None:
        sys.exit("fetcher.pdf: Xero shows no such invoice")
    document.write(content)
    document.flush()


if __name__ == "__main__":
    main()
