"""Histories made by hand, one line a word."""

from itertools import count
from typing import Any

from chaos.history import Record
from chaos.seen import Seen, see

TENANT = "t1"


class Tale:
    """Records in the order in which they are told; time goes on by a second with each."""

    def __init__(self) -> None:
        self.records: list[Record] = [{"what": "run", "at": 0.0, "seed": 1, "size": "pr", "commit": "c"}]
        self._numbers = count(1)
        self.now = 100.0

    def add(self, what: str, at: float | None = None, **fields: Any) -> "Tale":
        self.now += 1
        self.records.append({"what": what, "at": self.now if at is None else at, **fields})
        return self

    def invoice(self, invoice: str) -> "Tale":
        return self.add("invoice", invoice=invoice, number=f"INV-{invoice}", tenant=TENANT)

    def event(
        self, invoice: str, kind: str = "issued", *, status: int | None = 200, forged: str | None = None, ms: float = 9
    ) -> "Tale":
        """A post and its answer."""
        post = f"p{next(self._numbers)}"
        told = [{"invoice": invoice, "tenant": TENANT, "kind": kind}]
        self.add("post", post=post, events=told, forged=forged)
        return self.add("answer", post=post, attempt=0, status=status, ms=ms, error=None)

    def paid(self, invoice: str) -> "Tale":
        return self.add("change", invoice=invoice, to="paid")

    def message(self, invoice: str, template: str = "invoice_issued", reference: str | None = None) -> "Tale":
        return self.journal("whatsapp.message", template=template, number=f"INV-{invoice}", reference=reference)

    def journal(self, kind: str, **fields: Any) -> "Tale":
        return self.add("journal", kind=kind, **{"status": 200, "ms": 1.0, **fields})

    def intent(self, invoice: str, state: str, kind: str = "issued", reason: str | None = None) -> "Tale":
        return self.add("intent", invoice=invoice, kind=kind, stage=None, state=state, reason=reason)

    def decision(self, invoice: str, verdict: str, rule: str, kind: str = "issued", at: float = 0.0) -> "Tale":
        return self.add("decision", invoice=invoice, kind=kind, verdict=verdict, rule=rule, decided_at=at or self.now)

    def snapshot(self, invoice: str, status: str = "AUTHORISED", total: str = "1000") -> "Tale":
        return self.add("snapshot", invoice=invoice, status=status, total=total, read_at=self.now)

    def attempt(self, invoice: str, reference: str, at: float, outcome: str | None, state: str = "sent") -> "Tale":
        fields: dict[str, Any] = {
            "reference": reference,
            "invoice": invoice,
            "kind": "issued",
            "ended_at": None,
            "error_class": None,
        }
        return self.add("attempt", started_at=at, outcome=outcome, state=state, **fields)

    def fault(self, name: str, *phases: str, loses_answers: bool = False, kills: int = 0, **fields: Any) -> "Tale":
        number = next(self._numbers)
        for phase in phases:
            told = {"loses_answers": loses_answers, "kills": kills, **fields}
            self.add("fault", number=number, name=name, phase=phase, **told)
        return self

    def process(self, name: str, pid: int) -> "Tale":
        return self.add("process", name=name, pid=pid)

    def attack(self, name: str = "hostile-forged", *, full: bool = False) -> "Tale":
        """An attack in which all is as it should be, told in the records that follow each other."""
        about: dict[str, Any] = {"attack": f"{name} {self.now}"}
        self.add("attack", name=name, full=full, **about)
        self.add("door", phase="before", pid=7, rss=60 << 20, files=20, **about)
        for _ in range(6):
            self.add("door", phase="during", pid=7, rss=70 << 20, files=400, **about)
            self.add("honest", kind="handshake, right", wanted=200, status=200, ms=12.0, tries=1, **about)
        self.add("honest", kind="handshake, wrong", wanted=401, status=401, ms=12.0, tries=1, **about)
        self.add("honest", kind="large", wanted=200, status=200, ms=80.0, tries=3, **about)
        self.thrown("no signature", "401", 9000, {"401": 9000})
        self.thrown("10 MB, announced", "no", 10, {"413": 9, "none": 1}, bodies=2)
        self.thrown("nested lists, signed", "200", 5, {"200": 5})
        return self.add("door", phase="after", pid=7, rss=72 << 20, files=22, **about)

    def thrown(
        self, way: str, due: str, sent: int, answers: dict[str, int], *, bodies: int = 0, cookies: int = 0
    ) -> "Tale":
        """More of the attack that was told last."""
        counts: dict[str, Any] = {"sent": sent, "answers": answers, "bodies": bodies, "cookies": cookies}
        return self.add("hostile", way=way, due=due, attack=self._attack, **counts)

    def door(self, phase: str, *, pid: int = 7, rss: int = 70 << 20, files: int = 22) -> "Tale":
        return self.add("door", phase=phase, pid=pid, rss=rss, files=files, attack=self._attack)

    def honest(self, status: int | None, wanted: int = 200, ms: float = 12.0) -> "Tale":
        return self.add("honest", kind="x", wanted=wanted, status=status, ms=ms, tries=1, attack=self._attack)

    @property
    def _attack(self) -> str:
        return str(next(row["attack"] for row in reversed(self.records) if "attack" in row))

    def seen(self) -> Seen:
        return see(self.records)


def sent(invoice: str = "a") -> Tale:
    """An invoice that was announced, accepted and alerted once."""
    tale = Tale().invoice(invoice).event(invoice).message(invoice, reference="r1")
    return tale.intent(invoice, "delivered").decision(invoice, "plan", "due").snapshot(invoice)


def sent_to(to: str = "aa", amount: str = "₹1,000.00") -> Tale:
    """One alert of an invoice of 1,000 whose contact's number is ``aa``."""
    tale = Tale().add("invoice", invoice="a", number="INV-a", tenant=TENANT, to="aa", total="1000.00")
    tale.event("a").journal("whatsapp.message", template="invoice_issued", number="INV-a", to=to, amount=amount)
    return tale.intent("a", "sent")
