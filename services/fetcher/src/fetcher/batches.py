"""How many ids go into one question: Xero refuses long queries with a misleading "not found"."""

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote, urlencode

MOST_IDS = 50
LONGEST_QUERY = 2000
"""Characters of the encoded query; Xero's cap is 2,048."""


def ids_query(ids: Sequence[str]) -> dict[str, str]:
    """The parameters that ask for exactly these ids, in one page, archived ones included."""
    return {"IDs": ",".join(ids), "page": "1", "pageSize": "100", "includeArchived": "true"}


_BARE_LENGTH = len(urlencode(ids_query(())))
_COMMA = len(quote(",", safe=""))


def first_batch(ids: Iterable[str]) -> list[str]:
    """The longest beginning of ``ids`` that fits one question; at least one id."""
    batch: list[str] = []
    length = _BARE_LENGTH - _COMMA
    for identifier in ids:
        length += _COMMA + len(quote(identifier, safe=""))
        if batch and (len(batch) == MOST_IDS or length >= LONGEST_QUERY):
            break
        batch.append(identifier)
    return batch


def batches(ids: Sequence[str]) -> Iterator[list[str]]:
    """All of ``ids`` in as few questions as fit."""
    start = 0
    while start < len(ids):
        batch = first_batch(ids[start:])
        yield batch
        start += len(batch)


def halves(ids: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    middle = len(ids) // 2
    return ids[:middle], ids[middle:]
