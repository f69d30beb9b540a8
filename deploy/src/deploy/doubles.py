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
    "DUEBELL_POLICY_FILE": str(ROOT / "config" / "policy.sandbox.yaml"),
    "DUEBELL_XERO_CLIENT_ID": "sandbox-client",
    "DUEBELL_XERO_CLIENT_SECRET": "sandbox-secret",
    "DUEBELL_XERO_WEBHOOK_KEYS": "sandbox-webhook-key",
    "DUEBELL_WHATSAPP_ACCESS_TOKEN": "sandbox-whatsapp-token",
    "DUEBELL_WHATSAPP_PHONE_NUMBER_ID": "100000000000001",
    "DUEBELL_WHATSAPP_BUSINESS_ACCOUNT_ID": "200000000000001",
    "DUEBELL_WHATSAPP_APP_SECRET": "sandbox-app-secret",
    "DUEBELL_WHATSAPP_VERIFY_TOKEN": "sandbox-verify-token",
}

_KNOWN_TO_BOTH = {
    "client_id": "DUEBELL_XERO_CLIENT_ID",
    "client_secret": "DUEBELL_XERO_CLIENT_SECRET",
    "whatsapp_token": "DUEBELL_WHATSAPP_ACCESS_TOKEN",
    "phone_number_id": "DUEBELL_WHATSAPP_PHONE_NUMBER_ID",
    "waba_id": "DUEBELL_WHATSAPP_BUSINESS_ACCOUNT_ID",
    "app_secret": "DUEBELL_WHATSAPP_APP_SECRET",
    "verify_token": "DUEBELL_WHATSAPP_VERIFY_TOKEN",
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
    # Xero takes localhost for a trial, but no IP address.
    callback = f"{token_broker_url.replace(LOOPBACK, 'localhost')}/callback"
    redirect = {"DUEBELL_XERO_REDIRECT_URI": callback}
    return {**_DEFAULTS, **redirect, **given, **addresses}


def sandbox_settings(variables: Mapping[str, str], ingress_url: str | None) -> dict[str, object]:
    """What the sandbox must be told so that it accepts this installation and sends it webhooks.

    Args:
        variables: those that some service got; a service that does not run leaves its part out.
        ingress_url: None when no ingress runs.
    """
    told: dict[str, object] = {
        setting: variables[name] for setting, name in _KNOWN_TO_BOTH.items() if name in variables
    }
    if redirect := variables.get("DUEBELL_XERO_REDIRECT_URI"):
        told["redirect_uris"] = [redirect]
    if keys := variables.get("DUEBELL_XERO_WEBHOOK_KEYS"):
        told["webhook_key"] = keys.split(",")[0].strip()
    if ingress_url:
        told["webhook_url"] = f"{ingress_url}/webhooks/xero"
        told["whatsapp_webhook_url"] = f"{ingress_url}/webhooks/whatsapp"
        if public := variables.get("DUEBELL_TWILIO_WEBHOOK_URL"):
            told["twilio_webhook_url"] = public
            told["twilio_forward_to"] = f"{ingress_url}/webhooks/twilio"
    return told


def configure_sandbox(url: str, settings: Mapping[str, object]) -> None:
    """Raises :class:`StackError` when the sandbox refuses a setting."""
    answer = httpx.put(f"{url}/sandbox/settings", json=dict(settings), timeout=10, trust_env=False)
    if answer.is_error:
        raise StackError(f"the sandbox refused its settings ({answer.status_code})", (answer.text[:500],))
