"""The command line: ``python -m deploy ‹command›``, which the Makefile's targets call."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands import asked_of_service, run_as_administrator, run_in_service, show_logs
from deploy.environment import given_variables
from deploy.erasure import erase_everywhere
from deploy.errors import StackError
from deploy.paths import ROOT
from deploy.scale import parse_scale
from deploy.services import NAMES
from deploy.stack import Stack
from deploy.table import render_processes

Folder = Annotated[Path, typer.Option(help="Where the installation lies.")]
Tenant = Annotated[str, typer.Argument(help="The Xero organisation's tenant id.")]

FOLDER = ROOT / "var" / "stack"
_ADMIN = "token_broker.admin"
_EXTRA = {"allow_extra_args": True, "ignore_unknown_options": True}


def create_cli() -> typer.Typer:
    """All commands; a failure is one line on standard error, with what explains it below, and exit code 1."""
    cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    plain: list[Callable[..., None]] = [up, down, ps, logs, scan, reconcile, connect_link, disconnect, rotate_keys]
    plain += [invoice_pdf, dlq_list, dlq_replay, templates_push, answered]
    forwarding: list[Callable[..., None]] = [connections, revoke, budget, schedule, why, release, resolve]
    forwarding += [pause, resume, stops, costs, templates_status, demo, plan, erase, reject]
    for command in plain:
        cli.command()(command)
    for command in forwarding:
        cli.command(context_settings=_EXTRA)(command)
    return cli


def up(
    folder: Folder = FOLDER,
    scale: Annotated[str, typer.Option(help="For example: fetcher=3 token-broker=2")] = "",
    sandbox: Annotated[bool, typer.Option(help="Run the doubles of Xero and WhatsApp and use them.")] = False,
    dotenv: Annotated[Path, typer.Option(help="The file of variables.")] = ROOT / ".env",
) -> None:
    """Start or change the servers and the five services; return when all are ready."""
    with _complaints():
        stack = Stack(
            folder,
            given_variables(dotenv, os.environ),
            parse_scale(scale, NAMES),
            sandbox,
            fixed_ports=True,
            logs=_logs(folder),
            say=_say,
        )
        stack.up()
        typer.echo(render_processes(stack.processes()))


def down(folder: Folder = FOLDER) -> None:
    """Stop the services and the servers; data stays."""
    with _complaints():
        Stack(folder, logs=_logs(folder), say=_say).down()


def ps(folder: Folder = FOLDER) -> None:
    """One line per process: service, replica, pid, port, state, address; and one of what keeps messages back."""
    with _complaints():
        stack = Stack(folder, logs=_logs(folder))
        processes = stack.processes()
        typer.echo(render_processes(processes))
        if processes and (stops := asked_of_service(stack, "notifier", "notifier.stops", ["--brief"])):
            typer.echo(stops)


def logs(
    service: Annotated[str, typer.Argument(help="A service, rabbitmq, redis or sandbox; all without.")] = "",
    folder: Folder = FOLDER,
    lines: Annotated[int, typer.Option("--lines", "-n")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f")] = False,
) -> None:
    """The last lines of the logs."""
    with _complaints():
        show_logs(_logs(folder), service, lines=lines, follow=follow)


def scan(tenant: Tenant, folder: Folder = FOLDER) -> None:
    """Ask for a scan of one organisation's open invoices now."""
    _in_service(folder, "scheduler", "scheduler.request", ["scan", tenant])


def reconcile(tenant: Tenant, folder: Folder = FOLDER) -> None:
    """Ask for all that changed in one organisation now."""
    _in_service(folder, "scheduler", "scheduler.request", ["reconcile", tenant])


def invoice_pdf(
    tenant: Tenant,
    invoice: Annotated[str, typer.Argument(help="The invoice's id or number.")],
    folder: Folder = FOLDER,
) -> None:
    """Write an invoice's PDF to standard output."""
    _in_service(folder, "fetcher", "fetcher.pdf", [tenant, invoice])


def connect_link(folder: Folder = FOLDER) -> None:
    """Print a link; who opens it connects a Xero organisation."""
    _in_service(folder, "token-broker", "token_broker.link", [])


def connections(context: typer.Context, folder: Folder = FOLDER) -> None:
    """The connected organisations and how their grants do; --json for machines."""
    _in_service(folder, "token-broker", _ADMIN, ["connections", *context.args])


def disconnect(tenant: Tenant, folder: Folder = FOLDER) -> None:
    """End the access to one organisation, at Xero and here."""
    _in_service(folder, "token-broker", _ADMIN, ["disconnect", tenant])


def revoke(context: typer.Context, tenant: Tenant, folder: Folder = FOLDER) -> None:
    """End the whole grant behind an organisation; --yes when it has several."""
    _in_service(folder, "token-broker", _ADMIN, ["revoke", tenant, *context.args])


def budget(context: typer.Context, folder: Folder = FOLDER) -> None:
    """What each organisation has spent of its day of calls, and what its bytes would cost; --json for machines."""
    _in_service(folder, "fetcher", "fetcher.budget", list(context.args))


def schedule(context: typer.Context, folder: Folder = FOLDER) -> None:
    """What is next for each organisation, and when; --json for machines."""
    _in_service(folder, "scheduler", "scheduler.schedule", list(context.args))


def rotate_keys(folder: Folder = FOLDER) -> None:
    """Seal all stored tokens with the first key of DUEBELL_TOKEN_KEYS."""
    _in_service(folder, "token-broker", _ADMIN, ["rotate-keys"])


def dlq_list(folder: Folder = FOLDER) -> None:
    """The dead letters that wait."""
    with _complaints():
        run_as_administrator(Stack(folder), "shared.runtime.dead_letters", ["list"])


def dlq_replay(queue: Annotated[str, typer.Argument()], folder: Folder = FOLDER) -> None:
    """Send a queue's dead letters back to where they came from."""
    with _complaints():
        run_as_administrator(Stack(folder), "shared.runtime.dead_letters", ["replay", queue])


def why(context: typer.Context, tenant: Tenant, folder: Folder = FOLDER) -> None:
    """Why a customer was, or was not, messaged."""
    _in_service(folder, "notifier", "notifier.why", [tenant, *context.args])


def plan(context: typer.Context, tenant: Tenant, folder: Folder = FOLDER) -> None:
    """Who would be messaged when in the next seven days, and why others not; --json for machines."""
    _in_service(folder, "notifier", "notifier.plan", [tenant, *context.args])


def erase(
    context: typer.Context,
    contact: Annotated[str, typer.Argument(help="Xero's id of the contact, or a number such as +919876543210.")],
    folder: Folder = FOLDER,
) -> None:
    """Take a person's number and name out of everything; --yes does it, --tenant only in one organisation."""
    with _complaints():
        erase_everywhere(Stack(folder), contact, context.args, typer.echo)


def release(context: typer.Context, tenant: Tenant, folder: Folder = FOLDER) -> None:
    """Let held messages of an organisation go; --list shows them, --invoice and --contact let go some."""
    _in_service(folder, "notifier", "notifier.release", [tenant, *context.args])


def reject(context: typer.Context, tenant: Tenant, folder: Folder = FOLDER) -> None:
    """Refuse held messages for good: --invoice, --contact or --all."""
    _in_service(folder, "notifier", "notifier.reject", [tenant, *context.args])


def resolve(context: typer.Context, tenant: Tenant, folder: Folder = FOLDER) -> None:
    """Show messages nobody knows the end of; --resend or --close settles them, --invoice only one's."""
    _in_service(folder, "notifier", "notifier.resolve", [tenant, *context.args])


def templates_push(folder: Folder = FOLDER) -> None:
    """Make and change what differs on the WhatsApp Business Account."""
    _in_service(folder, "notifier", "notifier.templates", ["push"])


def templates_status(context: typer.Context, folder: Folder = FOLDER) -> None:
    """The account's templates beside ours; --json for machines."""
    _in_service(folder, "notifier", "notifier.templates", ["status", *context.args])


def pause(context: typer.Context, folder: Folder = FOLDER) -> None:
    """Stop an organisation's messages, or all, within two seconds; nothing is dropped."""
    _in_service(folder, "notifier", "notifier.pause", list(context.args))


def resume(context: typer.Context, folder: Folder = FOLDER) -> None:
    """Undo a pause."""
    _in_service(folder, "notifier", "notifier.resume", list(context.args))


def stops(context: typer.Context, folder: Folder = FOLDER) -> None:
    """Show what keeps messages back; --probe lets one message through every open breaker."""
    _in_service(folder, "notifier", "notifier.stops", list(context.args))


def costs(context: typer.Context, folder: Folder = FOLDER) -> None:
    """Messages and what they cost, by month, kind and category; --tenant for one organisation, --json for machines."""
    _in_service(folder, "notifier", "notifier.costs", list(context.args))


def answered(
    tenant: Tenant,
    contact: Annotated[str, typer.Argument(help="The contact's id, or an invoice's id or number.")],
    folder: Folder = FOLDER,
) -> None:
    """Somebody has read a contact's reply: its reminders go on."""
    _in_service(folder, "notifier", "notifier.answered", [tenant, contact])


def demo(context: typer.Context) -> None:
    """Play the whole story from nothing, on the sandbox."""
    # Only this command needs the demo, and so only it pays for the import.
    main: Callable[[list[str]], None] = importlib.import_module("deploy.demo").main
    main(context.args)


def _in_service(folder: Path, service: str, module: str, arguments: list[str]) -> None:
    with _complaints():
        run_in_service(Stack(folder), service, module, arguments)


def _logs(folder: Path) -> Path:
    """The main installation's logs are easy to find; another's lie inside its folder."""
    return ROOT / "var" / "log" if folder.resolve() == FOLDER else folder / "log"


def _say(line: str) -> None:
    typer.echo(line, err=True)


@contextmanager
def _complaints() -> Iterator[None]:
    try:
        yield
    except StackError as error:
        _say(str(error))
        for line in error.details:
            _say(f"  {line}")
        sys.exit(1)
