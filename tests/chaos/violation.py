"""What a check finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """``subject`` is an invoice's id, a tenant's, a post's or a queue's name."""

    check: str
    subject: str
    details: str
