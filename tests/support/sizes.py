"""How many rounds a repeated test runs: a few by default, the published number with ``TEST_SIZE=full``."""

import os


def in_full() -> bool:
    """Whether what takes minutes is to be waited for."""
    return os.environ.get("TEST_SIZE") == "full"


def rounds(full: int, few: int) -> int:
    """``full`` when ``TEST_SIZE`` is ``full``, else ``few``."""
    return full if in_full() else few
