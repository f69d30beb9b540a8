"""The operator's commands: ``python -m token_broker.admin connections | disconnect | revoke | rotate-keys``."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence

from shared.errors import ConfigurationError
from shared.runtime.clock import utc_now
from shared.runtime.http import create_http_client
from shared.settings.base import load_settings
from shared.settings.groups import HttpSettings
from token_broker.admin.calls import CallSigner
from token_broker.admin.client import AdminClient, Unreachable
from token_broker.admin.refusals import Affected, CommandRefused, Refusal
from token_broker.admin.texts import as_json, named, still_sealed, table
from token_broker.settings import LinkSettings

Say = Callable[[str], None]

REFUSED, WRONG, SAY_YES = 1, 2, 3
"""Exit codes: it was not done; a setting or argument is wrong; it ends more than one organisation and needs --yes."""

_TIMEOUT_SECONDS = 120.0
"""Longer than the longest command: a refresh, two looks at Xero's list, two calls to end something."""
_AT_ONCE = 200
_MOST_IDLE_CALLS = 5
_ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognised, not listened on


class AdminSettings(LinkSettings, HttpSettings):
    """All that an admin call is made of."""

    @property
    def url(self) -> str:
        """Where this machine's token-broker listens.

        Raises:
            ConfigurationError: only the token-broker itself knows its port.
        """
        if not self.token_broker_port:
            raise ConfigurationError("DUEBELL_TOKEN_BROKER_PORT is 0; say --url")
        host = "127.0.0.1" if self.host in _ANY_ADDRESS else self.host
        return f"http://[{host}]:{self.token_broker_port}" if ":" in host else f"http://{host}:{self.token_broker_port}"


def main(arguments: Sequence[str] | None = None) -> int:
    """What went wrong is one line on standard error, and an exit code of its own kind."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(AdminSettings)
        return asyncio.run(_run(options, settings, options.url or settings.url))
    except ConfigurationError as error:
        return _complain(str(error), WRONG)
    except Unreachable as error:
        return _complain(str(error), REFUSED)
    except CommandRefused as refusal:
        for each in refusal.organisations:
            _say(f"  {named(each)}")
        return _complain(refusal.text, SAY_YES if refusal.refusal is Refusal.SEVERAL else REFUSED)


async def _run(options: argparse.Namespace, settings: AdminSettings, url: str) -> int:
    async with create_http_client(url, timeout_seconds=_TIMEOUT_SECONDS) as http:
        client = AdminClient(http, CallSigner(settings.admin_secret), utc_now)
        match options.command:
            case "connections":
                shown = await client.connections()
                _say(as_json(shown) if options.json else table(shown))
            case "disconnect":
                await disconnect(client, options.tenant, _say)
            case "revoke":
                await revoke(client, options.tenant, options.yes, _say)
            case _:
                return await rotate_keys(client, _say)
    return 0


async def disconnect(client: AdminClient, tenant_id: str, say: Say) -> None:
    """Raises :class:`CommandRefused` or :class:`Unreachable`, as all of these do."""
    say(f"Disconnecting {await _name(client, tenant_id)} at Xero; its work waits until somebody connects it again.")
    done = await client.disconnect(tenant_id)
    say("Disconnected." if done.was_listed else "Xero had disconnected it already; now our record says so.")
    if done.grant == "revoked":
        say("It was the last organisation of its grant, which is revoked as well.")
    if done.grant == "unrevoked":
        say(f"Its grant is not used any more, but stands: {done.grant_trouble} The command revoke ends it.")


async def revoke(client: AdminClient, tenant_id: str, several: bool, say: Say) -> None:
    say(f"This revokes the grant behind {await _name(client, tenant_id)} at Xero, with every organisation of it:")
    done = await client.revoke(tenant_id, several=several)
    for each in done.organisations:
        say(f"  {named(each)}")
    say(f"Revoked. Organisations ended: {len(done.organisations)}.")


async def rotate_keys(client: AdminClient, say: Say) -> int:
    idle = 0
    while True:
        moved = await client.reseal(_AT_ONCE)
        done = moved.resealed
        say(f"{done.resealed} grants sealed with {moved.first_key}, {done.left} left")
        idle = 0 if done.resealed else idle + 1
        if not done.left or idle >= _MOST_IDLE_CALLS:
            break
    for line in still_sealed(done, moved.first_key):
        say(line)
    return REFUSED if done.left or done.broken else 0


async def _name(client: AdminClient, tenant_id: str) -> str:
    for each in await client.connections():
        if each.tenant_id == tenant_id:
            return named(Affected(each.tenant_id, each.tenant_name))
    raise CommandRefused(Refusal.UNKNOWN_TENANT, "No organisation with this tenant id was ever connected here.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m token_broker.admin", description=__doc__)
    parser.add_argument("--url", default="", help="where a token-broker listens; this machine's by default")
    commands = parser.add_subparsers(dest="command", required=True)
    connections = commands.add_parser("connections", help="every organisation and how its grant does")
    connections.add_argument("--json", action="store_true", help="a JSON list with stable keys")
    ended = commands.add_parser("disconnect", help="end the access to one organisation, at Xero and here")
    ended.add_argument("tenant", help="the organisation's tenant id")
    revoked = commands.add_parser("revoke", help="end the whole grant behind an organisation, at Xero and here")
    revoked.add_argument("tenant", help="the tenant id of one of its organisations")
    revoked.add_argument("--yes", action="store_true", help="also when it ends more than one organisation")
    commands.add_parser("rotate-keys", help="seal everything with the first key of DUEBELL_TOKEN_KEYS")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _complain(line: str, code: int) -> int:
    sys.stderr.write(f"token_broker.admin: {line}\n")
    return code
