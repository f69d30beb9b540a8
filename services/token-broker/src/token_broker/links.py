"""Consent links: signed offline with the admin secret, good until a date, checked without a database."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from pydantic import SecretStr

from token_broker.signing import Signer

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
        self._signer = Signer(secret, _PURPOSE)

    def new(self, now: datetime, life: timedelta) -> str:
        """A link for one consent, open for ``life``."""
        expires_at = datetime.fromtimestamp(int((now + life).timestamp()), UTC)
        return self.url(Link(secrets.token_urlsafe(_NONCE_BYTES), expires_at))

    def url(self, link: Link) -> str:
        expires = str(int(link.expires_at.timestamp()))
        query = {"nonce": link.nonce, "expires": expires, "signature": self._signer.sign(link.nonce, expires)}
        return f"{self._connect_url}?{urlencode(query)}"

    def read(self, query: Mapping[str, str]) -> Link:
        """The link behind a request's query. Expiry is the caller's to judge.

        Raises:
            LinkInvalid: a part is missing, or the signature does not fit.
        """
        nonce, expires, signature = (query.get(name, "") for name in ("nonce", "expires", "signature"))
        if not nonce or not (expires.isascii() and expires.isdigit()) or max(len(nonce), len(expires)) > _LONGEST_FIELD:
            raise LinkInvalid
        if not self._signer.fits(signature, nonce, expires):
            raise LinkInvalid
        return Link(nonce, datetime.fromtimestamp(min(int(expires), _LATEST_EXPIRY), UTC))
