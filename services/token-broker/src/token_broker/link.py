"""Prints one consent link: ``python -m token_broker.link [--hours 24]``; offline, from two settings."""

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta

from shared.errors import ConfigurationError
from shared.runtime.clock import utc_now
from shared.settings.base import load_settings
from token_broker.links import LinkSigner
from token_broker.settings import LinkSettings

_LONGEST_HOURS = 24 * 90


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 2 and one line on standard error when a setting is missing or wrong."""
    parser = argparse.ArgumentParser(prog="python -m token_broker.link", description="Print one consent link.")
    parser.add_argument("--hours", type=_hours, default=24.0, help="how long it stays open (default 24)")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings(LinkSettings)
    except ConfigurationError as error:
        sys.stderr.write(f"token_broker.link: {error}\n")
        return 2
    signer = LinkSigner(settings.connect_url, settings.admin_secret)
    sys.stdout.write(signer.new(utc_now(), timedelta(hours=options.hours)) + "\n")
    return 0


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 < hours <= _LONGEST_HOURS:
        raise argparse.ArgumentTypeError(f"between 0 and {_LONGEST_HOURS}")
    return hours


if __name__ == "__main__":
    sys.exit(main())
