"""Which addresses may be shown to a customer as Xero's page of an invoice."""

import re

LONGEST_LINK = 180
"""Characters; WhatsApp's templates leave room for that many."""

_XERO_PAGE = re.compile(
    r"https://(?:[a-z0-9-]{1,63}\.)*xero\.com/[A-Za-z0-9/._~?=&%+-]*",
)


def safe_link(address: str | None) -> str | None:
    """The address if it is a plain one of Xero's own host or below it, else None.

    Only https, no user, no port, nothing but plain ASCII: whatever stands in the message leads to Xero. That holds
    wherever the API lives, so a double of Xero gives out Xero's addresses, too.
    """
    if address is None or len(address) > LONGEST_LINK:
        return None
    return address if _XERO_PAGE.fullmatch(address) else None
