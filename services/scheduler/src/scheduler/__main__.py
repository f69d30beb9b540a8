"""Runs the scheduler: ``python -m scheduler``."""

from scheduler.app import create_app
from scheduler.settings import SchedulerSettings
from shared.runtime.service import main

if __name__ == "__main__":
    main("scheduler", SchedulerSettings, create_app)
