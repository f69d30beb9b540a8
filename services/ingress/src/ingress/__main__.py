"""Runs ingress: ``python -m ingress``."""

from ingress.app import create_app
from ingress.settings import IngressSettings
from shared.runtime.service import main

if __name__ == "__main__":
    main("ingress", IngressSettings, create_app)
