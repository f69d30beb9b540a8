"""What a check finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """``subject`` is an invoice's id, a tenant's, a post's, a queue's or an attack's name."""

    check: str
    subject: str
    details: str
