"""Random passwords of the private servers' users, kept in one file with mode 0600."""

import base64
import hashlib
import secrets
from collections.abc import Iterable
from pathlib import Path

from deploy.files import read_table, write_table

ADMINISTRATOR = "administrator"


def load_passwords(path: Path, users: Iterable[str]) -> dict[str, str]:
    """User → password; who has none yet gets one."""
    known = read_table(path)
    missing = [user for user in users if user not in known]
    if missing:
        known |= {user: secrets.token_urlsafe(24) for user in missing}
        write_table(path, known)
    return known


def rabbitmq_hash(password: str, salt: bytes | None = None) -> str:
    """The form of a definitions file: base64 of a 4-byte salt and the SHA-256 of salt and password."""
    salt = secrets.token_bytes(4) if salt is None else salt
    digest = hashlib.sha256(salt + password.encode()).digest()
    return base64.b64encode(salt + digest).decode()


def redis_hash(password: str) -> str:
    """The form of an ACL file: ``#`` and the SHA-256 in hex."""
    return "#" + hashlib.sha256(password.encode()).hexdigest()
