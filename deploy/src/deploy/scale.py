"""How many replicas of each service: ``fetcher=3 token-broker=2``."""

import difflib
from collections.abc import Sequence

from deploy.errors import StackError

_MOST = 20


def parse_scale(text: str, services: Sequence[str]) -> dict[str, int]:
    """Service → replicas, 1 for those that ``text`` does not name.

    Raises:
        StackError: an unknown service, or a number that is not between 0 and 20.
    """
    scale = dict.fromkeys(services, 1)
    for part in text.replace(",", " ").split():
        service, _, number = part.partition("=")
        if service not in scale:
            near = difflib.get_close_matches(service, services, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(services)}"
            raise StackError(f"SCALE: {service} is not a service{hint}")
        if not number.isdecimal() or int(number) > _MOST:
            raise StackError(f"SCALE: {part} should be {service}=‹0 to {_MOST}›")
        scale[service] = int(number)
    return scale
