"""Whether a body was signed by who claims to have sent it. Pure, over the bytes as received, in constant time."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from ingress.payloads import form_of


def xero_signature_matches(body: bytes, signature: str | None, keys: Sequence[str]) -> bool:
    """``x-xero-signature``: base64 of HMAC-SHA256. The key is its text as it stands, though it looks like base64.

    Every key is tried even after one matched, so that the time taken tells nothing.
    """
    if not signature:
        return False
    given = signature.encode("utf-8", "replace")
    matches = [
        hmac.compare_digest(base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256)), given) for key in keys
    ]
    return any(matches)


def meta_signature_matches(body: bytes, signature: str | None, app_secret: str) -> bool:
    """``X-Hub-Signature-256``: ``sha256=`` and the hexadecimal HMAC-SHA256 under the app secret."""
    if not signature:
        return False
    expected = "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))


def any_meta_signature_matches(body: bytes, signature: str | None, app_secrets: Sequence[str]) -> bool:
    """Under any of the secrets: one for each Meta app that numbers were taken from. All are tried, as above."""
    matches = [meta_signature_matches(body, signature, secret) for secret in app_secrets]
    return any(matches)


def twilio_signature_matches(body: bytes, signature: str | None, url: str, auth_tokens: Sequence[str]) -> bool:
    """``X-Twilio-Signature``: base64 of HMAC-SHA1 over the address and the form, each name and value in order of name.

    ``url`` is what Twilio asked, its query included. A value given twice under one name counts once.
    """
    form = form_of(body)
    if not signature or form is None:
        return False
    signed = url + "".join(f"{name}{value}" for name, value in sorted(set(form)))
    given, text = signature.encode("utf-8", "replace"), signed.encode()
    matches = [
        hmac.compare_digest(base64.b64encode(hmac.digest(token.encode(), text, hashlib.sha1)), given)
        for token in auth_tokens
    ]
    return any(matches)


def word_matches(given: str | None, expected: str) -> bool:
    """Compares Meta's verify token."""
    return hmac.compare_digest((given or "").encode("utf-8", "replace"), expected.encode())
