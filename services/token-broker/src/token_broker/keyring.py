"""Seals tokens for storage: AES-256-GCM under a ring of keys, each ciphertext bound to the place it belongs to."""

import base64
import binascii
import os
import re
from collections.abc import Callable
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from shared.errors import PermanentError

_KEY_BYTES = 32
_NONCE_BYTES = 12
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")

UNREADABLE = "?"
"""Stands for the key id of a text that names none."""


class SealBroken(PermanentError):  # noqa: N818 - states what was found
    """A stored ciphertext is damaged, stands where it does not belong, or was made with a key that the ring lacks."""

    def __init__(self, text: str) -> None:
        super().__init__("seal_broken", text)


class KeyRing:
    """The first key seals, all of them open."""

    def __init__(self, keys: dict[str, bytes], randomness: Callable[[int], bytes] = os.urandom) -> None:
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self._first = next(iter(keys))
        self._randomness = randomness

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``id:base64,id:base64``; each key is 32 bytes.

        Raises:
            ValueError: one line that says which entry is wrong, and never shows a key.
        """
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(text.split(","), start=1):
            name, colon, encoded = entry.strip().partition(":")
            if not colon or not _KEY_ID.fullmatch(name):
                raise ValueError(f"entry {number} is not id:base64 (make one with: echo k1:$(openssl rand -base64 32))")
            if name in keys:
                raise ValueError(f"the key id {name} stands there twice")
            keys[name] = _decoded(name, encoded)
        return cls(keys)

    @property
    def first(self) -> str:
        """The id of the key that seals."""
        return self._first

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self._ciphers)

    def seal(self, secret: SecretStr, context: str) -> str:
        """The secret as ``key id.base64``; only ``open`` with the same ``context`` gives it back."""
        nonce = self._randomness(_NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(nonce, secret.get_secret_value().encode(), context.encode())
        return f"{self._first}.{_written(nonce + sealed)}"

    def open(self, sealed: str, context: str) -> SecretStr:
        """Raises:
        SealBroken: whatever is wrong with it; nothing of the content is given away.
        """
        name, _, encoded = sealed.partition(".")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise SealBroken("DUEBELL_TOKEN_KEYS lacks the key it was sealed with")
        try:
            raw = _read(encoded)
            return SecretStr(cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context.encode()).decode())
        except (InvalidTag, ValueError):
            raise SealBroken("it was changed, or belongs elsewhere") from None


def key_id(sealed: str) -> str:
    """The id of the key that a ciphertext was made with."""
    return sealed.partition(".")[0]


def shown_key_id(name: str) -> str:
    """``name`` when it can be the id of a key, else ``UNREADABLE``: a damaged ciphertext is not to be shown."""
    return name if _KEY_ID.fullmatch(name) else UNREADABLE


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _read(encoded: str) -> bytes:
    """Raises ValueError for all but what ``_written`` writes: base64 alone takes several texts for the same bytes."""
    raw = base64.b64decode(encoded, altchars=b"-_", validate=True)
    if _written(raw) != encoded:
        raise ValueError("not as it was written")
    return raw


def _decoded(name: str, encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError(f"the key {name} is not base64") from None
    if len(key) != _KEY_BYTES:
        raise ValueError(f"the key {name} has {len(key)} bytes; it needs {_KEY_BYTES} (openssl rand -base64 32)")
    return key
