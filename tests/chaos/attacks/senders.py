"""The two senders whose webhooks are signed over the body alone: their routes, headers and signatures."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

Signature = Callable[[str, bytes], str]
Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Sender:
    """``sign`` makes the value of ``header`` from a key and a body."""

    name: str
    path: str
    header: str
    key: str
    sign: Signature

    def signed(self, body: bytes, key: str | None = None) -> Headers:
        """The headers of an honest post, or those of one under another key."""
        return [("content-type", "application/json"), (self.header, self.sign(key or self.key, body))]


def digest(key: str, body: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.digest(key.encode(), body, algorithm)


def in_base64(key: str, body: bytes) -> str:
    return base64.b64encode(digest(key, body)).decode()


def in_hexadecimal(key: str, body: bytes) -> str:
    return "sha256=" + digest(key, body).hex()


def plain_digest(key: str, body: bytes) -> bytes:
    """No HMAC: what a careless implementation would take for one."""
    return hashlib.sha256(key.encode() + body).digest()


def xero(key: str) -> Sender:
    return Sender("xero", "/webhooks/xero", "x-xero-signature", key, in_base64)


def meta(app_secret: str) -> Sender:
    return Sender("whatsapp", "/webhooks/whatsapp", "x-hub-signature-256", app_secret, in_hexadecimal)
