"""Runs the fetcher: ``python -m fetcher``."""

from fetcher.app import create_app
from fetcher.settings import FetcherSettings
from shared.runtime.service import main

if __name__ == "__main__":
    main("fetcher", FetcherSettings, create_app)
