"""Runs the notifier."""

from notifier.app import create_app
from notifier.settings import NotifierSettings
from shared.runtime.service import main

if __name__ == "__main__":
    main("notifier", NotifierSettings, create_app)
