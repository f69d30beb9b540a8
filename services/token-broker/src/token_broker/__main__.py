"""Starts the token-broker."""

from shared.runtime.service import main
from token_broker.app import create_app
from token_broker.process import forbid_dumps
from token_broker.settings import TokenBrokerSettings

if __name__ == "__main__":
    forbid_dumps()
    main("token-broker", TokenBrokerSettings, create_app)
