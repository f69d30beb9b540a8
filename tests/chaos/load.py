"""A steady, seeded stream of honest and forged webhooks, and scans, as the outside world sends them."""

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx

from chaos.scene import Scene
from chaos.seen import CHANGED, ISSUED, PAID
from chaos.webhooks import FORGERIES, Signed, body_of, event, signed
from support.town import next_month, today

TIMEOUT = 5.0
"""Xero waits no longer."""
BOOK = 40
"""Overdue invoices of each organisation, for its scans."""
_WAITS = (0.3, 0.6, 1.0, 2.0, 3.0)
_SETTLES_AFTER = 6.0
_FORGED_SHARE = 0.05


@dataclass
class Load:
    """Sends ``rate`` events a second until told to stop; what nobody answered 200 is repeated, as Xero repeats it.

    Args:
        dice: decides who does what.
    """

    scene: Scene
    dice: Random
    rate: float
    _issued: deque[tuple[float, str, str]] = field(default_factory=deque)
    _books: dict[str, list[str]] = field(default_factory=dict)
    _decoys: list[tuple[str, str]] = field(default_factory=list)
    _sent: deque[tuple[bytes, list[dict[str, str]]]] = field(default_factory=lambda: deque(maxlen=50))
    _paid: set[str] = field(default_factory=set)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _sequence: int = 1

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._stop = asyncio.Event()

    async def prepare(self) -> None:
        """Invoices in everybody's books, and some that only forgers speak of; older than to be news to a poll."""
        long_ago = today() - timedelta(days=40)
        for tenant in self.scene.tenants:
            overdue = await self._invoices(tenant, BOOK, issue_date=long_ago, due_date=today() - timedelta(days=4))
            self._books[tenant] = overdue
            decoys = await self._invoices(tenant, 5, issue_date=long_ago)
            self._decoys += [(tenant, invoice) for invoice in decoys]

    async def run(self) -> None:
        """Until :meth:`stop`; the pace does not wait for answers. Every way to forge is tried at least once."""
        loop = asyncio.get_running_loop()
        for name in FORGERIES:
            self._forge(name)
        due = loop.time()
        while not self._stop.is_set():
            await self._turn()
            due += self.dice.expovariate(self.rate)
            if (pause := due - loop.time()) > 0:
                try:
                    await asyncio.wait_for(self._stop.wait(), pause)
                except TimeoutError:
                    continue

    def stop(self) -> None:
        self._stop.set()

    async def settle(self, seconds: float) -> None:
        """Return when everything was accepted, or after so many seconds; what is repeated still is given up then."""
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=seconds)
        for task in self._under_way:
            task.cancel()

    async def scan(self, tenant: str) -> None:
        """Ask for a scan as an operator does; it is accepted when the command says so."""
        owed = [invoice for invoice in self._books[tenant] if invoice not in self._paid]
        asked_at = self.scene.history.now()
        try:
            await self.scene.town.command("scan", tenant)
            accepted = True
        except (AssertionError, TimeoutError):
            accepted = False
        self.scene.history.add("scan", tenant=tenant, invoices=owed, asked_at=asked_at, accepted=accepted)

    async def _turn(self) -> None:
        if self.dice.random() < _FORGED_SHARE:
            self._forge(self.dice.choice(list(FORGERIES)))
        chance = self.dice.random()
        ripe = bool(self._issued) and self._issued[0][0] < asyncio.get_running_loop().time() - _SETTLES_AFTER
        if chance < 0.15 and ripe:
            await self._pay()
        elif chance < 0.25 and ripe:
            await self._change()
        elif chance < 0.30 and self._sent:
            body, told = self.dice.choice(self._sent)
            self._post(signed(self.scene.webhook_key, body), told)
        else:
            await self._issue()

    async def _issue(self) -> None:
        """One to three new invoices of one organisation in one delivery, as soon as they are in its books."""
        tenant = self.dice.choice(self.scene.tenants)
        fresh = await self._invoices(tenant, self.dice.choice([1, 1, 1, 2, 3]))
        self._tell([(tenant, invoice, ISSUED, "CREATE") for invoice in fresh])
        now = asyncio.get_running_loop().time()
        self._issued.extend((now, tenant, invoice) for invoice in fresh)

    async def _pay(self) -> None:
        _, tenant, invoice = self._issued.popleft()
        self._paid.add(invoice)
        self.scene.history.add("change", invoice=invoice, to=PAID)
        await self.scene.sandbox.pay(invoice, event=False)
        self._tell([(tenant, invoice, PAID, "UPDATE")])

    async def _change(self) -> None:
        _, tenant, invoice = self._issued.popleft()
        total = f"{self.dice.randrange(1001, 9999)}.00"
        await self.scene.sandbox.change_invoice(invoice, total=total, event=False)
        self.scene.history.add("change", invoice=invoice, to="total", value=total)
        self._tell([(tenant, invoice, CHANGED, "UPDATE")])

    def _forge(self, name: str) -> None:
        tenant, invoice = self.dice.choice(self._decoys)
        body = self._body([(tenant, invoice, "CREATE")])
        forged = FORGERIES[name](self.scene.webhook_key, body, self.dice)
        self._post(forged, [{"invoice": invoice, "tenant": tenant, "kind": ISSUED}], forged=name)

    def _tell(self, news: list[tuple[str, str, str, str]]) -> None:
        body = self._body([(tenant, invoice, kind) for tenant, invoice, _, kind in news])
        told = [{"invoice": invoice, "tenant": tenant, "kind": kind} for tenant, invoice, kind, _ in news]
        self._sent.append((body, told))
        self._post(signed(self.scene.webhook_key, body), told)

    def _body(self, news: list[tuple[str, str, str]]) -> bytes:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        first = self._sequence
        self._sequence += len(news)
        return body_of([event(tenant, invoice, kind, at) for tenant, invoice, kind in news], first, self.dice)

    def _post(self, what: Signed, told: list[dict[str, str]], forged: str | None = None) -> None:
        name = f"p{next(self._numbers)}"
        self.scene.history.add("post", post=name, events=told, forged=forged)
        task = asyncio.create_task(self._deliver(name, what, once=forged is not None))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _deliver(self, name: str, what: Signed, *, once: bool) -> None:
        for attempt in itertools.count():
            status = await self._try(name, attempt, what)
            if status == 200 or once:
                return
            await asyncio.sleep(_WAITS[min(attempt, len(_WAITS) - 1)])

    async def _try(self, name: str, attempt: int, what: Signed) -> int | None:
        body, headers = what
        loop = asyncio.get_running_loop()
        began, status, error = loop.time(), None, None
        try:
            async with asyncio.timeout(TIMEOUT):
                url = f"{self.scene.stack.url('ingress')}/webhooks/xero"
                status = (await self.scene.http.post(url, content=body, headers=headers)).status_code
        except (httpx.HTTPError, TimeoutError) as failure:
            error = type(failure).__name__
        took = round((loop.time() - began) * 1000, 1)
        self.scene.history.add("answer", post=name, attempt=attempt, status=status, ms=took, error=error)
        return status

    async def _invoices(self, tenant: str, count: int, **fields: Any) -> list[str]:
        order = {"issue_date": today(), "due_date": next_month()} | fields
        rows = await self.scene.sandbox.bulk(tenant, count, **order)
        for row in rows:
            about = {"tenant": tenant, "to": self.scene.masked(row["phone"]), "total": row["total"]}
            self.scene.history.add("invoice", invoice=row["invoice_id"], number=row["invoice_number"], **about)
        return [str(row["invoice_id"]) for row in rows]
