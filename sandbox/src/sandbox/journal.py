"""The ordered record of everything the sandbox saw and did."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


def short_hash(secret: str) -> str:
    """Eight hex digits that tell two tokens apart without showing either."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


@dataclass(slots=True)
class Journal:
    """Entries in the order seen, each with `seq`, `time` (ISO 8601, UTC) and `kind`."""

    clock: Callable[[], datetime]
    entries: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    breaches: Counter[tuple[str, str]] = field(default_factory=Counter)
    _seq: int = 0

    def add(self, kind: str, **details: Any) -> dict[str, Any]:
        """Append one entry and return it."""
        self._seq += 1
        entry: dict[str, Any] = {"seq": self._seq, "time": self.clock().isoformat(), "kind": kind, **details}
        self.entries.append(entry)
        self.counts[kind] += 1
        return entry

    def breach(self, rule: str, tenant: str | None = None, **details: Any) -> None:
        """Record that a client broke one of the provider's rules; counted per tenant and rule."""
        self.breaches[(tenant or "", rule)] += 1
        self.add("xero.breach", rule=rule, tenant=tenant, **details)

    def select(self, kind: str | None = None, since: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
        """Entries after `since`; `kind` matches exactly or as a prefix that ends at a dot (`xero`, `xero.webhook`)."""
        found = [
            entry
            for entry in self.entries
            if entry["seq"] > since
            and (kind is None or entry["kind"] == kind or entry["kind"].startswith(f"{kind.rstrip('.')}."))
        ]
        return found if limit is None else found[-limit:]

    def clear(self) -> None:
        """Forget entries and counts; sequence numbers go on rising."""
        self.entries.clear()
        self.counts.clear()
        self.breaches.clear()
