"""How many rounds a repeated test runs: a few by default, the published number with ``TEST_SIZE=full``."""

import os


def rounds(full: int, few: int) -> int:
    """``full`` when ``TEST_SIZE`` is ``full``, else ``few``."""
    return full if os.environ.get("TEST_SIZE") == "full" else few
