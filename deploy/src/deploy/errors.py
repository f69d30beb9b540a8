"""What stops a command of this package: one line for the person at the terminal."""


class StackError(Exception):
    """The message says what is wrong and what to do; ``details`` are further lines, such as the end of a log."""

    def __init__(self, message: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.details = details
