"""Pointing an installation at the sandbox instead of Xero and WhatsApp."""

from collections.abc import Mapping

import httpx

from deploy.errors import StackError
from deploy.paths import PYTHON, ROOT
from deploy.ports import LOOPBACK
from deploy.program import Program

SERVICE = "sandbox"
DEFAULT_PORT = 9400

_DEFAULTS = {
    "DUEBELL_XERO_CLIENT_ID": "sandbox-client",
    "DUEBELL_XERO_CLIENT_SECRET": "sandbox-secret",
    "DUEBELL_XERO_WEBHOOK_KEYS": "sandbox-webhook-key",
    "DUEBELL_WHATSAPP_ACCESS_TOKEN": "sandbox-whatsapp-token",
    "DUEBELL_WHATSAPP_PHONE_NUMBER_ID": "100000000000001",
    "DUEBELL_WHATSAPP_APP_SECRET": "sandbox-app-secret",
    "DUEBELL_WHATSAPP_VERIFY_TOKEN": "sandbox-verify-token",
}


def sandbox_program(port: int, machine: Mapping[str, str]) -> Program:
    """The sandbox as one more process of the stack."""
    return Program(
        service=SERVICE,
        replica=1,
        argv=(str(PYTHON), "-P", "-m", "sandbox", "--port", str(port)),
        environment={**machine, "PYTHONUNBUFFERED": "1"},
        directory=ROOT,
        is_server=True,
        rank=10,
        stop_seconds=10,
        port=port,
        url=f"http://{LOOPBACK}:{port}",
    )


def sandbox_variables(given: Mapping[str, str], sandbox_url: str, token_broker_url: str) -> dict[str, str]:
    """``given``, with every address the sandbox's and every credential that is missing one that it knows."""
    addresses = {
        "DUEBELL_XERO_API_URL": sandbox_url,
        "DUEBELL_XERO_IDENTITY_URL": sandbox_url,
        "DUEBELL_XERO_LOGIN_URL": sandbox_url,
        "DUEBELL_WHATSAPP_API_URL": sandbox_url,
    }
    redirect = {"DUEBELL_XERO_REDIRECT_URI": f"{token_broker_url}/callback"}
    return {**_DEFAULTS, **redirect, **given, **addresses}


def sandbox_settings(variables: Mapping[str, str], ingress_url: str) -> dict[str, object]:
    """What the sandbox must be told so that it accepts this installation and sends it webhooks."""
    return {
        "client_id": variables["DUEBELL_XERO_CLIENT_ID"],
        "client_secret": variables["DUEBELL_XERO_CLIENT_SECRET"],
        "redirect_uris": [variables["DUEBELL_XERO_REDIRECT_URI"]],
        "webhook_key": variables["DUEBELL_XERO_WEBHOOK_KEYS"].split(",")[0].strip(),
        "webhook_url": f"{ingress_url}/webhooks/xero",
        "whatsapp_token": variables["DUEBELL_WHATSAPP_ACCESS_TOKEN"],
        "phone_number_id": variables["DUEBELL_WHATSAPP_PHONE_NUMBER_ID"],
        "app_secret": variables["DUEBELL_WHATSAPP_APP_SECRET"],
        "verify_token": variables["DUEBELL_WHATSAPP_VERIFY_TOKEN"],
        "whatsapp_webhook_url": f"{ingress_url}/webhooks/whatsapp",
    }


def configure_sandbox(url: str, settings: Mapping[str, object]) -> None:
    """Raises :class:`StackError` when the sandbox refuses a setting."""
    answer = httpx.put(f"{url}/sandbox/settings", json=dict(settings), timeout=10, trust_env=False)
    if answer.is_error:
        raise StackError(f"the sandbox refused its settings ({answer.status_code})", (answer.text[:500],))
