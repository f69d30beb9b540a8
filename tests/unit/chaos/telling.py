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

    def seen(self) -> Seen:
        return see(self.records)


def sent(invoice: str = "a") -> Tale:
    """An invoice that was announced, accepted and alerted once."""
    tale = Tale().invoice(invoice).event(invoice).message(invoice, reference="r1")
    return tale.intent(invoice, "delivered").decision(invoice, "plan", "due").snapshot(invoice)
