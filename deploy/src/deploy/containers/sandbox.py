"""The sandbox in a container, told where this installation listens: ``python -m deploy.containers.sandbox``."""

import asyncio
import os
import threading

import httpx

from deploy.doubles import DEFAULT_PORT, configure_sandbox, sandbox_settings
from deploy.ports import LOOPBACK
from deploy.waiting import wait_until
from sandbox.client import Sandbox
from sandbox.server import serve

_URL = f"http://{LOOPBACK}:{DEFAULT_PORT}"
_READY_SECONDS = 30
_REDIRECT = "DUEBELL_XERO_REDIRECT_URI"


def main() -> None:
    """Serve until SIGTERM; the state is in memory, so every start begins with one organisation and no more."""
    threading.Thread(target=_introduce, daemon=True).start()
    serve("0.0.0.0", DEFAULT_PORT, None)  # noqa: S104 - the container's network decides who comes in


def _introduce() -> None:
    if wait_until(_answers, _READY_SECONDS):
        redirect = {_REDIRECT: os.environ[_REDIRECT]}
        configure_sandbox(_URL, sandbox_settings(redirect, "http://ingress:8080"))
        asyncio.run(_add_organisation())


def _answers() -> bool:
    try:
        return httpx.get(f"{_URL}/livez", trust_env=False, timeout=2).is_success
    except httpx.TransportError:
        return False


async def _add_organisation() -> None:
    async with Sandbox(_URL) as sandbox:
        india = {"country": "IN", "timezone": "INDIASTANDARDTIME", "currency": "INR"}
        organisation = await sandbox.organisation("Meera Textiles", **india)
        await sandbox.contact(organisation["tenant_id"], "Asha Traders", phone="98765 43210")


if __name__ == "__main__":
    main()
