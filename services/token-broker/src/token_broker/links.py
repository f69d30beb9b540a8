"""Consent links: signed offline with the admin secret, good until a date, checked without a database."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from pydantic import SecretStr

_PURPOSE = "consent-link"
_NONCE_BYTES = 18
_LONGEST_FIELD = 64
_LATEST_EXPIRY = 253402300799


@dataclass(frozen=True)
class Link:
    """What a consent link says; ``nonce`` is its identity."""

    nonce: str
    expires_at: datetime


class LinkInvalid(Exception):  # noqa: N818 - states what was found
    """The link was not signed by us, or was changed on its way."""


class LinkSigner:
    """Makes and checks links below ``connect_url``, the token-broker's public ``/connect``."""

    def __init__(self, connect_url: str, secret: SecretStr) -> None:
        self._connect_url = connect_url
        # Stretched, so that whoever sees one link cannot cheaply guess a short secret.
        self._key = hashlib.scrypt(secret.get_secret_value().encode(), salt=_PURPOSE.encode(), n=2**14, r=8, p=1)

    def new(self, now: datetime, life: timedelta) -> str:
        """A link for one consent, open for ``life``."""
        expires_at = datetime.fromtimestamp(int((now + life).timestamp()), UTC)
        return self.url(Link(secrets.token_urlsafe(_NONCE_BYTES), expires_at))

    def url(self, link: Link) -> str:
        expires = str(int(link.expires_at.timestamp()))
        query = {"nonce": link.nonce, "expires": expires, "signature": self._signature(link.nonce, expires)}
        return f"{self._connect_url}?{urlencode(query)}"

    def read(self, query: Mapping[str, str]) -> Link:
        """The link behind a request's query. Expiry is the caller's to judge.

        Raises:
            LinkInvalid: a part is missing, or the signature does not fit.
        """
        nonce, expires, signature = (query.get(name, "") for name in ("nonce", "expires", "signature"))
        if not nonce or not (expires.isascii() and expires.isdigit()) or max(len(nonce), len(expires)) > _LONGEST_FIELD:
            raise LinkInvalid
        if not hmac.compare_digest(self._signature(nonce, expires).encode(), signature.encode()):
            raise LinkInvalid
        return Link(nonce, datetime.fromtimestamp(min(int(expires), _LATEST_EXPIRY), UTC))

    def _signature(self, nonce: str, expires: str) -> str:
        return hmac.new(self._key, f"{_PURPOSE}\n{nonce}\n{expires}".encode(), hashlib.sha256).hexdigest()
