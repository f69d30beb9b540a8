"""What never reaches a log line: tokens, secrets, signatures, bodies and phone numbers.

Code does not log them in the first place; this is the net under it.
"""

import re
from collections.abc import MutableMapping
from typing import Any

HIDDEN = "[hidden]"

_SECRET_KEY = re.compile(
    r"token|secret|password|authorization|signature|api_key|cookie|phone|wamid|body|(^|_)(to|code|state|url)$",
    re.IGNORECASE,
)
_PATTERNS = (
    (re.compile(r"eyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?"), "[token]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 [hidden]"),
    (re.compile(r"wamid\.[\w=+/-]+"), "[wamid]"),
    (re.compile(r"://[^/\s:@]*:[^/\s@]+@"), "://[hidden]@"),
    (re.compile(r"\+\d[\d\s().-]{6,18}\d"), "[phone]"),
    (
        re.compile(r"(?i)([?&](?:code|state|token|signature|secret|access_token|refresh_token)=)[^&\s\"']+"),
        r"\1[hidden]",
    ),
)


def redact_text(text: str) -> str:
    """The text with everything that looks like a credential or a phone number masked."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact(value: Any) -> Any:
    """The same for nested values; what a telling key names is hidden whole."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, MutableMapping | dict):
        return {key: HIDDEN if _SECRET_KEY.search(str(key)) else redact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value


def redacting(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor."""
    return {key: HIDDEN if _SECRET_KEY.search(key) else redact(item) for key, item in event.items()}
