"""The history of a run: one JSON line for everything that was sent, answered, broken, mended and seen."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Record = Mapping[str, Any]


class History:
    """Appends records, each with ``what`` it is and ``at``, the seconds since 1970; flushed line by line.

    Args:
        path: the file, written anew.
        clock: seconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._clock = clock
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self.recent: list[Record] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def now(self) -> float:
        return self._clock()

    def add(self, what: str, at: float | None = None, **fields: Any) -> Record:
        """Write one record down; ``at`` is now unless it is said."""
        record = {"what": what, "at": round(self._clock() if at is None else at, 4), **fields}
        self._file.write(json.dumps(record, separators=(",", ":"), default=str) + "\n")
        self.recent.append(record)
        return record

    def forget(self, until: float) -> None:
        """Drop from ``recent`` what was accepted before ``until``, as all of it has an end; the file keeps all."""
        answers = (row for row in self.recent if row["what"] == "answer" and row["at"] < until)
        answered = {row["post"] for row in answers if row["status"] == 200}
        kept = {"invoice", "change", "fault", "poison"}

        def matters(row: Record) -> bool:
            # An event that is repeated long afterwards was settled by the message of the first time.
            sent = row.get("kind") == "whatsapp.message"
            waiting = row["what"] == "post" and row["post"] not in answered
            return row["at"] >= until or row["what"] in kept or sent or waiting

        self.recent = [row for row in self.recent if matters(row)]


def read_history(path: Path) -> list[Record]:
    """All records of a file, in order."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def of_kind(records: Iterable[Record], what: str) -> list[Record]:
    return [record for record in records if record["what"] == what]
