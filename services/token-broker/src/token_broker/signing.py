"""The admin secret at work: a key of its own for every purpose, and signatures made and compared with it."""

import hashlib
import hmac

from pydantic import SecretStr


class Signer:
    """A signature made for one purpose says nothing for another."""

    def __init__(self, secret: SecretStr, purpose: str) -> None:
        self._purpose = purpose
        # Stretched, so that whoever sees one signature cannot cheaply guess a short secret.
        self._key = hashlib.scrypt(secret.get_secret_value().encode(), salt=purpose.encode(), n=2**14, r=8, p=1)

    def sign(self, *parts: str) -> str:
        """Hexadecimal HMAC-SHA256 over the parts, one a line; two lists must not read the same."""
        return hmac.new(self._key, "\n".join((self._purpose, *parts)).encode(), hashlib.sha256).hexdigest()

    def fits(self, signature: str, *parts: str) -> bool:
        """Compared in constant time."""
        return hmac.compare_digest(self.sign(*parts).encode(), signature.encode())
