"""The reasons of failed calls that more than one place must know."""

REFUSED_QUESTION = "xero_refused_question"
UNAVAILABLE = "xero_unavailable"
UNREADABLE = "xero_answer_unreadable"
UNREACHABLE = "xero_unreachable"
TIMEOUT = "xero_timeout"
TOO_LARGE = "xero_answer_too_large"

OF_ALL_OR_OF_ONE = frozenset({UNAVAILABLE, UNREADABLE, UNREACHABLE, TIMEOUT, TOO_LARGE})
"""Xero is out of order, or one of the ids that were asked for makes it fail: a single call cannot tell which."""
