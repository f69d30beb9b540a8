"""``/livez``: the process answers. ``/readyz``: it can do its work now. ``/metrics``: its figures."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

Check = Callable[[], Awaitable[bool]]
_CHECK_SECONDS = 3.0


def health_routes(registry: CollectorRegistry, checks: Mapping[str, Check]) -> list[BaseRoute]:
    async def livez(_: Request) -> Response:
        return Response(status_code=200)

    async def readyz(_: Request) -> Response:
        results = await asyncio.gather(*(_passes(check) for check in checks.values()))
        found = dict(zip(checks, results, strict=True))
        return JSONResponse({"ready": all(results), "checks": found}, status_code=200 if all(results) else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]


async def _passes(check: Check) -> bool:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await check()
    except Exception:
        return False
