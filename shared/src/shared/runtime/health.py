"""``/livez``: the process answers. ``/readyz``: it can do its work now. ``/metrics``: its figures."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

Check = Callable[[], Awaitable[bool]]
_CHECK_SECONDS = 3.0
_METRICS_SECONDS = 0.1
"""For so long everybody gets the same page."""


def health_routes(registry: CollectorRegistry, checks: Mapping[str, Check]) -> list[BaseRoute]:
    async def livez(_: Request) -> Response:
        return Response(status_code=200)

    async def looked() -> dict[str, bool]:
        results = await asyncio.gather(*(_passes(check) for check in checks.values()))
        return dict(zip(checks, results, strict=True))

    looking: asyncio.Task[dict[str, bool]] | None = None

    async def readyz(_: Request) -> Response:
        nonlocal looking
        # Who asks while somebody is being told is told the same: a check may cost a message and its confirm.
        if looking is None or looking.done():
            looking = asyncio.create_task(looked())
        found = await asyncio.shield(looking)
        return JSONResponse(
            {"ready": all(found.values()), "checks": found}, status_code=200 if all(found.values()) else 503
        )

    page, written_at = b"", -math.inf

    async def metrics(_: Request) -> Response:
        nonlocal page, written_at
        # Writing it takes longer than many other answers, and anybody who reaches the port may ask.
        if (now := time.monotonic()) - written_at >= _METRICS_SECONDS:
            page, written_at = generate_latest(registry), now
        return Response(page, media_type=CONTENT_TYPE_LATEST)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]


async def _passes(check: Check) -> bool:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await check()
    except Exception:
        return False
