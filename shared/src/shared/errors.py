"""The errors that decide what becomes of a message.

DuebellError
├── RetryableError      try again later, on the delay ladder; ``retry_after`` when the remote said when
│   ├── PublishFailed   the broker did not confirm in time: the outcome is unknown, publishing again is safe
│   ├── OutageError      the remote is out of order: for a day no attempt is counted
│   └── PersonNeededError  held until somebody acts, for as long as that takes
├── PermanentError      trying again cannot help: dead-lettered at once with the reason
└── ConfigurationError  start-up stops with this one line
"""


class DuebellError(Exception):
    """Base of all; ``reason`` is a stable machine word, the text is for a person and holds nothing personal."""

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(f"{reason}: {text}" if text else reason)
        self.reason = reason


class RetryableError(DuebellError):
    """A passing fault. ``retry_after`` is in seconds; None leaves the delay to the ladder.

    ``counts`` is False when waiting is no failure (a limit, a held tenant) and must not use up the attempts.
    """

    def __init__(self, reason: str, text: str = "", *, retry_after: float | None = None, counts: bool = True) -> None:
        super().__init__(reason, text)
        self.retry_after = retry_after
        self.counts = counts


class PublishFailed(RetryableError):  # noqa: N818 - a fact about the publish, read as such in handlers
    """RabbitMQ did not confirm within the deadline, or refused. The message may still have arrived."""


class PersonNeededError(RetryableError):
    """Only a person can end it, in minutes or in months: it uses up no attempt, and the pauses grow."""

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(reason, text, counts=False)


class OutageError(RetryableError):
    """The remote goes on failing at whatever it is asked: for a day its messages wait, then each attempt counts."""


class PermanentError(DuebellError):
    """No later attempt can succeed: the message goes to its service's dead-letter queue."""


class ConfigurationError(DuebellError):
    """Start-up must stop; the text is the one line a person reads."""

    def __init__(self, text: str) -> None:
        super().__init__("configuration", text)

    def __str__(self) -> str:
        return str(self.args[0]).removeprefix("configuration: ")
