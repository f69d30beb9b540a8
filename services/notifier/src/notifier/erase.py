"""``python -m notifier.erase CONTACT [--tenant T] [--yes]``: takes a person out of the ledger.

``CONTACT`` is Xero's id of the contact, or a number in E.164. Without ``--yes`` it only counts.
"""

import argparse
import json
import re

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import command
from notifier.erasing import ErasePerson, Erasure
from notifier.persons import Persons
from notifier.settings import ErasureSettings
from shared.errors import ConfigurationError
from shared.runtime.clock import utc_now
from shared.settings.base import load_settings

_NUMBER = re.compile(r"\+[1-9]\d{6,14}")
_ID = re.compile(r"[0-9A-Za-z-]{1,200}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m notifier.erase", description=__doc__)
    parser.add_argument("contact", help="Xero's id of the contact, or a number such as +919876543210")
    parser.add_argument("--tenant", help="one organisation's tenant id; all of them without")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--yes", action="store_true", help="do it; without, it is only counted")
    way.add_argument("--readmit", action="store_true", help="undo what keeps an erased person away, as it wishes")
    parser.add_argument("--for-others", action="store_true", help="JSON for those who hold more of the person")
    options = parser.parse_args()

    async def take_out(engine: AsyncEngine) -> str:
        persons = Persons(key_of(load_settings(ErasureSettings)))
        erase = ErasePerson(engine, persons)
        contact = checked(options.contact)
        if options.readmit:
            return f"{await erase.readmit(contact, options.tenant)} names are known as erased no more"
        erasure = await erase(contact, options.tenant, utc_now(), really=options.yes)
        said = report(erasure, really=options.yes)
        return json.dumps(_for_others(erasure, said)) if options.for_others else said

    command.run(take_out)


def key_of(settings: ErasureSettings) -> SecretStr:
    if settings.erasure_key is None:
        raise ConfigurationError("DUEBELL_ERASURE_KEY is missing: give one of 32 characters or more, and keep it")
    return settings.erasure_key


def checked(contact: str) -> str:
    """Raises ConfigurationError, which repeats nothing of it."""
    if not (_NUMBER.fullmatch(contact) or _ID.fullmatch(contact)):
        raise ConfigurationError("say Xero's id of the contact, or a number such as +919876543210")
    return contact


def report(erasure: Erasure, *, really: bool) -> str:
    """Counts, and never who it is."""
    if not erasure.found.total():
        after = "; what comes later of it is not kept" if really else ""
        return f"ledger: nobody of this name is known here{after}"
    person = erasure.person
    names = f"{len(person.contacts)} contact ids, {len(person.phones)} numbers, {len(person.users)} user ids"
    lines = [f"ledger: {'erased' if really else 'would erase'} a person known by {names}"]
    lines += [f"  {count} {what}" for what, count in sorted(erasure.found.items()) if count]
    if not erasure.rewritten:
        lines.append("  the file could not be rewritten while others use it: say it again")
    return "\n".join(lines)


def _for_others(erasure: Erasure, said: str) -> dict[str, object]:
    contacts = sorted(erasure.person.contacts)
    return {"said": said, "tenants": list(erasure.tenants), "contacts": contacts, "words": erasure.words}


if __name__ == "__main__":
    main()
