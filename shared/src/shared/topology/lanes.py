"""Two lanes behind one routing key: what its sender marks as bulk waits apart, so that nothing else waits behind it."""

from enum import StrEnum

HEADER = "lane"


class Lane(StrEnum):
    """HOT is where everything goes that does not say otherwise; only BULK is ever written into the header."""

    HOT = "hot"
    BULK = "bulk"

    @property
    def headers(self) -> dict[str, str | int]:
        """What a message of this lane carries."""
        return {} if self is Lane.HOT else {HEADER: str(self)}
