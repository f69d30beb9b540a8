"""How the Graph API words its errors."""

import secrets
from typing import Any

from starlette.responses import JSONResponse

TITLES = {
    1: "API Unknown",
    2: "API Service",
    4: "API Too Many Calls",
    10: "Permission Denied",
    100: "Invalid parameter",
    200: "Permissions error",
    190: "Invalid OAuth access token - Cannot parse access token",
    80007: "Rate limit issues",
    368: "Temporarily blocked for policies violations",
    2635: "Calls to this version of the API are no longer supported",
    130429: "Rate limit hit",
    130472: "User's number is part of an experiment",
    131000: "Something went wrong",
    131005: "Access denied",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131016: "Service unavailable",
    131021: "Recipient cannot be sender",
    131026: "Message undeliverable",
    131031: "Account has been locked",
    131042: "Business eligibility payment issue",
    131047: "Re-engagement message",
    131048: "Spam rate limit hit",
    131049: "This message was not delivered to maintain healthy ecosystem engagement",
    131051: "Unsupported message type",
    131053: "Media upload error",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
    131057: "Business account is in maintenance mode",
    132000: "Number of parameters does not match the expected number of params",
    132001: "Template name does not exist in the translation",
    132005: "Translated text too long",
    132012: "Parameter format does not match format in the created template",
    132015: "Template is paused",
    132016: "Template is disabled",
    132018: "There was an issue with the parameters in the template",
    133010: "Phone number not registered",
}
STATUSES = {
    2: 503, 10: 403, 190: 401, 200: 403, 368: 403, 131000: 500, 131005: 403, 131016: 503, 131031: 403, 131057: 500,
    132001: 404,
}  # fmt: skip


class GraphRefusalError(Exception):
    """A request that the Cloud API refuses; carries the Graph error code and its details."""

    def __init__(self, code: int, details: str, subcode: int | None = None) -> None:
        """Keep what `graph_error` needs."""
        super().__init__(details)
        self.code, self.details, self.subcode = code, details, subcode


def graph_error(code: int, details: str, *, status: int | None = None, subcode: int | None = None) -> JSONResponse:
    """An error answer; without `status` the one documented for the code, else 400."""
    error: dict[str, Any] = {
        "message": f"(#{code}) {TITLES.get(code, 'Error')}",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": details},
        "fbtrace_id": secrets.token_urlsafe(8),
    }
    if subcode is not None:
        error["error_subcode"] = subcode
    return JSONResponse({"error": error}, status or STATUSES.get(code, 400))


def status_error(code: int, details: str) -> dict[str, Any]:
    """One element of a failed status' `errors`."""
    title = TITLES.get(code, "Error")
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    }
