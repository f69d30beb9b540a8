"""Admin calls are signed with the admin secret, for one request, for seconds, and are taken once."""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import SecretStr

from token_broker.signing import Signer

MOST_BYTES = 4096
"""Of a call's body."""

_PURPOSE = "admin-call"
_SCHEME = "Duebell-Admin"
_AUTHORIZATION = re.compile(
    _SCHEME + r" (?P<expires>[0-9]{1,12}):(?P<nonce>[A-Za-z0-9_-]{16,64}):(?P<sign>[0-9a-f]{64})"
)
_LIFE_SECONDS = 30
_LONGEST_LIFE_SECONDS = 60
_NONCE_BYTES = 18
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True)
class Call:
    """``target`` is the path as it is sent, with the query if there is one."""

    method: str
    target: str
    body: bytes = b""


class CallSigner:
    """Made once; the key takes a moment to be derived."""

    def __init__(self, secret: SecretStr) -> None:
        self._signer = Signer(secret, _PURPOSE)

    def authorization(self, call: Call, now: datetime) -> str:
        """The header of the same name that lets this call pass once."""
        expires, nonce = str(int(now.timestamp()) + _LIFE_SECONDS), secrets.token_urlsafe(_NONCE_BYTES)
        return f"{_SCHEME} {expires}:{nonce}:{self._signer.sign(*_parts(call, expires, nonce))}"

    def fits(self, signature: str, call: Call, expires: str, nonce: str) -> bool:
        return self._signer.fits(signature, *_parts(call, expires, nonce))


class Gate:
    """Knows a call that it has taken for as long as the call could be repeated.

    Each replica has its own memory: a call that is caught on its way could be repeated at another replica within the
    minute. What it does is done already, unless a person undid it within that minute.
    """

    def __init__(self, signer: CallSigner, clock: Callable[[], datetime]) -> None:
        self._signer = signer
        self._clock = clock
        self._taken: dict[str, int] = {}

    def admits(self, call: Call, authorization: str) -> bool:
        """Whether the call is ours, unchanged, in time and new."""
        said = _AUTHORIZATION.fullmatch(authorization)
        if said is None or len(call.body) > MOST_BYTES:
            return False
        if not self._signer.fits(said["sign"], call, said["expires"], said["nonce"]):
            return False
        expires, now = int(said["expires"]), self._clock().timestamp()
        if not now < expires <= now + _LONGEST_LIFE_SECONDS:
            return False
        return self._is_new(said["nonce"], expires, now)

    def _is_new(self, nonce: str, expires: int, now: float) -> bool:
        if nonce in self._taken:
            return False
        if len(self._taken) >= _MOST_REMEMBERED:
            self._taken = {known: end for known, end in self._taken.items() if end > now}
        if len(self._taken) >= _MOST_REMEMBERED:
            # Only the holder of the secret can come here; to forget one would let it pass twice.
            return False
        self._taken[nonce] = expires
        return True


def _parts(call: Call, expires: str, nonce: str) -> tuple[str, ...]:
    return call.method, call.target, hashlib.sha256(call.body).hexdigest(), expires, nonce
