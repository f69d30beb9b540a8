"""Adapters that end or stop their own process at a named point of a refresh, once, when a test has armed the point."""

import asyncio
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from token_broker.ports import Claim, Grant, TokenPair
from token_broker.wiring import Adapters

Point = Literal["before_claim", "claimed", "sent", "answered", "stored"]
"""Nothing done yet; claimed and not sent; sent and no answer read, at any moment that the test chooses; the answer read
and not stored; stored and not handed out."""

_GLANCE_SECONDS = 0.005


@dataclass(frozen=True)
class Points:
    """A folder of armed points. Who removes a point's file is struck by it, so that each strikes one process once."""

    folder: Path

    def arm(self, point: Point, number: signal.Signals) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{point}.{number.name}").touch()

    def is_armed(self) -> bool:
        return self.folder.exists() and any(self.folder.iterdir())

    def disarm(self) -> None:
        for armed in self.folder.glob("*.*"):
            armed.unlink(missing_ok=True)

    def reach(self, point: Point) -> None:
        for number in (signal.SIGKILL, signal.SIGSTOP):
            try:
                (self.folder / f"{point}.{number.name}").unlink()
            except FileNotFoundError:
                continue
            os.kill(os.getpid(), number)

    def __call__(self, adapters: Adapters) -> Adapters:
        return replace(
            adapters, grants=DyingGrants(adapters.grants, self), identity=DyingIdentity(adapters.identity, self)
        )


class DyingGrants:
    """Passes everything on."""

    def __init__(self, inner: Any, points: Points) -> None:
        self._inner = inner
        self._points = points

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def claim(self, seen: Grant, *arguments: Any, **named: Any) -> Claim | None:
        self._points.reach("before_claim")
        claim: Claim | None = await self._inner.claim(seen, *arguments, **named)
        if claim is not None:
            self._points.reach("claimed")
        return claim

    async def renew(self, claim: Claim, pair: TokenPair, *arguments: Any, **named: Any) -> bool:
        saved: bool = await self._inner.renew(claim, pair, *arguments, **named)
        if saved:
            self._points.reach("stored")
        return saved


class DyingIdentity:
    """Passes everything on."""

    def __init__(self, inner: Any, points: Points) -> None:
        self._inner = inner
        self._points = points

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def refresh(self, refresh_token: SecretStr, *arguments: Any, **named: Any) -> TokenPair:
        watch = asyncio.create_task(self._watch())
        try:
            pair: TokenPair = await self._inner.refresh(refresh_token, *arguments, **named)
        finally:
            watch.cancel()
        self._points.reach("answered")
        return pair

    async def _watch(self) -> None:
        while True:
            self._points.reach("sent")
            await asyncio.sleep(_GLANCE_SECONDS)
