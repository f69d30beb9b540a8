"""Every way in which a consent can fail, each with a page of its own."""

from enum import StrEnum


class Problem(StrEnum):
    LINK_INVALID = "link_invalid"
    LINK_EXPIRED = "link_expired"
    LINK_USED = "link_used"
    STATE_UNKNOWN = "state_unknown"
    STATE_EXPIRED = "state_expired"
    STATE_USED = "state_used"
    BEING_FINISHED = "being_finished"
    DENIED = "denied"
    LOGIN_FAILED = "login_failed"
    CODE_REFUSED = "code_refused"
    XERO_UNAVAILABLE = "xero_unavailable"
    OFFLINE_ACCESS_MISSING = "offline_access_missing"
    SCOPES_MISSING = "scopes_missing"
    NO_ORGANISATION = "no_organisation"
    OUT_OF_ORDER = "out_of_order"


class ConsentRefused(Exception):  # noqa: N818 - states the outcome
    """The consent ends here. ``detail`` is shown to the person; ``again`` is a link to start over."""

    def __init__(self, problem: Problem, detail: str = "", again: str | None = None) -> None:
        super().__init__(problem.value)
        self.problem = problem
        self.detail = detail
        self.again = again
