"""Runs one of the operator's commands."""

import sys

from token_broker.admin.command import main

if __name__ == "__main__":
    sys.exit(main())
