"""``python -m notifier.templates push|status [--json]``: the business account's templates beside the catalogue's."""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from notifier.account_templates import TemplateState, why_not_usable
from notifier.adapters.whatsapp_templates import WhatsAppTemplates
from notifier.catalogue import load_catalogue
from notifier.settings import TemplateSettings
from notifier.template_examples import check_templates
from notifier.template_plan import Act, Step, plan
from notifier.template_ports import ManagementError, ManagesTemplates
from shared.errors import ConfigurationError
from shared.policy_file import load_policy
from shared.runtime.http import create_http_client
from shared.settings.base import load_settings

_DEADLINE_SECONDS = 30.0
_COLUMNS = ("template", "language", "status", "category", "quality", "differs")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m notifier.templates", description=__doc__)
    parser.add_argument("what", choices=("push", "status"), help="make and change what differs, or show it")
    parser.add_argument("--json", action="store_true", help="status as a JSON list with stable keys")
    options = parser.parse_args()
    try:
        sys.exit(asyncio.run(_run(load_settings(TemplateSettings), options.what, as_json=options.json)))
    except ConfigurationError as error:
        sys.stderr.write(f"notifier: {error}\n")
        sys.exit(2)
    except ManagementError as error:
        sys.stderr.write(f"the WhatsApp Business Account cannot be asked: {error}\n")
        sys.exit(1)


async def _run(settings: TemplateSettings, what: str, *, as_json: bool) -> int:
    policy_file = Path(settings.policy_file)
    catalogue = load_catalogue(policy_file)
    check_templates(load_policy(policy_file), catalogue)
    async with _management(settings) as management:
        steps = plan(catalogue, await management.list())
        if what == "push":
            return await push(management, steps)
    sys.stdout.write((json.dumps([_row_json(step) for step in steps], indent=2) if as_json else table(steps)) + "\n")
    return 0


@asynccontextmanager
async def _management(settings: TemplateSettings) -> AsyncIterator[ManagesTemplates]:
    account = settings.whatsapp_business_account_id
    if account is None:
        raise ConfigurationError("DUEBELL_WHATSAPP_BUSINESS_ACCOUNT_ID is missing")
    token = settings.whatsapp_access_token.get_secret_value()
    client = create_http_client(
        settings.whatsapp_api_url,
        timeout_seconds=_DEADLINE_SECONDS,
        headers={"Authorization": f"Bearer {token}"},
    )
    async with client:
        yield WhatsAppTemplates(client, version=settings.whatsapp_api_version, account=account)


async def push(management: ManagesTemplates, steps: Sequence[Step]) -> int:
    """Carry the steps out, one line each; 1 when one was refused or needs a person.

    A fault of the whole account ends it, since the next call would fare no better.
    """
    failed = False
    for step in steps:
        try:
            said = await _carry_out(management, step)
        except ManagementError as error:
            _say(step, f"refused: {error}")
            if error.whole_account:
                return 1
            failed = True
        else:
            _say(step, said)
            failed = failed or step.act is Act.PERSON
    return int(failed)


async def _carry_out(management: ManagesTemplates, step: Step) -> str:
    match step.act:
        case Act.CREATE:
            made = await management.create(step.definition)
            other = "" if made.category in {None, step.definition["category"]} else f" as {made.category}"
            return f"created{other}, {made.status or 'unknown'}"
        case Act.EDIT if step.found is not None:
            await management.edit(step.found.template_id, step.definition)
            return f"edited ({step.why})"
        case _:
            return f"{step.act.value}: {step.why}" if step.why else step.act.value


def _say(step: Step, said: str) -> None:
    sys.stdout.write(f"{step.name:<34}{step.language:<7}{said}\n")


def table(steps: Sequence[Step]) -> str:
    """Aligned columns for a terminal."""
    rows = [_COLUMNS, *(tuple(str(value) for value in _row_json(step).values()) for step in steps)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row_json(step: Step) -> dict[str, str]:
    found = step.found
    state = TemplateState(status="missing") if found is None else found.state
    said = (step.why, why_not_usable(state) or "", (found and found.rejected_reason) or "")
    return {
        "name": step.name,
        "language": step.language,
        "status": state.status or "-",
        "category": state.category or "-",
        "quality": state.quality or "-",
        "differs": "; ".join(part for part in said if part and part != "NONE") or "-",
    }


if __name__ == "__main__":
    main()
