"""Erasing a person from everywhere: the ledger first, then the fetcher's cache and the dead letters it tells of."""

import json
from collections.abc import Callable, Sequence

from deploy.commands import environment_of, environment_of_administrator, piped
from deploy.stack import Stack


def erase_everywhere(stack: Stack, contact: str, arguments: Sequence[str], say: Callable[[str], None]) -> None:
    """Each holder is told through a pipe who it is. Without ``--yes`` among ``arguments`` it is only counted.

    Raises:
        StackError: one of them failed; what came before is done, and all of it may be said again.
    """
    ledger = environment_of(stack, "notifier")
    if "--readmit" in arguments:
        whole = json.loads(
            piped("notifier.erase", [contact, *_without(arguments, "--readmit"), "--for-others"], ledger)
        )
        say(piped("notifier.erase", [contact, *arguments], ledger).strip())
        whole["contacts"] = sorted({*whole["contacts"], *([] if contact.startswith("+") else [contact.lower()])})
        piped("fetcher.forget", ["--readmit"], environment_of(stack, "fetcher"), json.dumps(whole))
        return
    told = piped("notifier.erase", [contact, *arguments, "--for-others"], ledger)
    say(json.loads(told)["said"])
    way = ["--yes"] if "--yes" in arguments else []
    say(piped("fetcher.forget", way, environment_of(stack, "fetcher"), told).strip())
    say(piped("shared.runtime.dead_letters", ["purge", *way], environment_of_administrator(stack), told).strip())
    if not way:
        say("nothing was changed; say it with ARGS=--yes to do it")


def _without(arguments: Sequence[str], word: str) -> list[str]:
    return [argument for argument in arguments if argument != word]
