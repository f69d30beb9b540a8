"""Knows an erased person again without knowing who it is: keyed hashes of numbers and ids."""

import hashlib
import hmac
from collections.abc import Iterable

from pydantic import SecretStr

from shared.contracts.invoices import Contact

EVERYWHERE = "*"
"""The scope of an erasure from all organisations."""


class Persons:
    """``key`` lies outside the database: who has the rows alone can try no numbers."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key.get_secret_value().encode()

    @property
    def key_print(self) -> str:
        """Tells whether another key made a hash."""
        return self._digest("key")[:16]

    def of(self, scope: str, value: str) -> str:
        return self._digest(f"{scope}\n{value}")

    def names(self, tenant_id: str, *values: str | None) -> list[str]:
        """Every hash by which an erased person of this organisation would be known again."""
        return [self.of(scope, value) for value in values if value for scope in (EVERYWHERE, tenant_id)]

    def names_of(self, tenant_id: str, contact: Contact) -> list[str]:
        return self.names(tenant_id, contact.contact_id.lower(), contact.phone)

    def all_of(self, scope: str, values: Iterable[str]) -> list[str]:
        return sorted({self.of(scope, value) for value in values})

    def _digest(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
