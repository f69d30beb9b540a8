"""Xero is away for minutes, refuses what it would allow, or does not tell what happened: nothing of it is missed."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

from chaos.faults.fault import Fault, Missed
from chaos.scene import Scene
from chaos.seen import ISSUED
from support.town import next_month, today

_numbers = itertools.count(1)
_ASKED_TO_WAIT = 5
_LONGEST_REST = 330.0
"""After a fault that goes on an organisation is let be for five minutes at most."""
_WITHHELD = 40


@asynccontextmanager
async def away(scene: Scene, dice: Random, *, what: str) -> AsyncIterator[None]:
    """503 to every call; while it is the identity service's, tokens have to be renewed."""
    await scene.sandbox.fault(what, "status503", times=None)
    try:
        if what == "xero.token":
            await scene.sandbox.expire_tokens()
        yield
    finally:
        await scene.sandbox.faults()


@asynccontextmanager
async def limited(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """429 with a Retry-After to every third call, also to those that are within the limits by our own count."""
    seed = dice.randrange(1_000_000)
    await scene.sandbox.fault("xero.api", "status429", times=None, probability=1 / 3, seed=seed, seconds=_ASKED_TO_WAIT)
    try:
        yield
    finally:
        await scene.sandbox.faults()


@asynccontextmanager
async def withheld(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """Invoices of which no webhook ever tells: the sweep that an operator asks for finds each, once.

    They are of an organisation of their own: the sweep would announce what the others have in stock as well.
    """
    try:
        tenant = await scene.organisation(f"Untold {next(_numbers)}")
        rows = await scene.sandbox.bulk(tenant, _WITHHELD, issue_date=today(), due_date=next_month())
        for row in rows:
            invoice, number = row["invoice_id"], row["invoice_number"]
            scene.history.add("invoice", invoice=invoice, number=number, tenant=tenant)
        asked_at = scene.history.now()
        for _ in range(2):
            await scene.town.command("reconcile", tenant)
    except (AssertionError, TimeoutError) as error:
        raise Missed(f"nobody could ask for the sweep: {type(error).__name__}") from error
    told = [row["invoice_id"] for row in rows]
    scene.history.add("scan", tenant=tenant, kind=ISSUED, invoices=told, asked_at=asked_at, accepted=True)
    yield


FAULTS = [
    Fault("xero-outage", partial(away, what="xero.api"), 120, lingers=_LONGEST_REST),
    Fault("identity-outage", partial(away, what="xero.token"), 20),
    Fault("xero-limited", limited, 20),
    Fault("webhooks-withheld", withheld),
]
