"""Starts everything, plays the story, stops everything."""

import asyncio
import shutil
import sys
from collections.abc import Sequence

import httpx

from deploy.demo import story
from deploy.demo.telling import Teller
from deploy.demo.world import NotSeen, World
from deploy.errors import StackError
from deploy.paths import ROOT
from deploy.stack import Stack
from sandbox.client import Sandbox

FOLDER = ROOT / "var" / "demo"


def main(arguments: Sequence[str] = ()) -> None:
    """Exit 0 only when every step was seen on the sandbox's side."""
    if arguments:
        sys.exit("the demo takes no arguments")
    sys.exit(_play(Teller()))


def _play(tell: Teller) -> int:
    tell.title()
    tell.chapter("Set up")
    shutil.rmtree(FOLDER, ignore_errors=True)
    stack = Stack(FOLDER, sandbox=True, tied=True, say=tell.progress)
    try:
        stack.up()
        tell.progress(f"Ready. RabbitMQ's management page is at {stack.management_url} while this runs.")
        asyncio.run(_story(stack, tell))
    except (StackError, NotSeen, httpx.HTTPError) as error:
        tell.check(False, str(error))
        for line in getattr(error, "details", ()):
            tell.say(line)
    finally:
        tell.progress("Stopping ...")
        stack.down()
    return tell.end()


async def _story(stack: Stack, tell: Teller) -> None:
    async with Sandbox(stack.url("sandbox")) as sandbox, httpx.AsyncClient(trust_env=False, timeout=15) as browser:
        world = World(stack, sandbox, browser)
        organisation = await sandbox.organisation(**story.ORGANISATION)
        world.tenant_id = organisation["tenant_id"]
        await story.connect(world, tell)
        await story.shake_hands(world, tell)
        invoice = await story.issue(world, tell)
        book = await story.remind(world, tell)
        await story.pay(world, tell, book)
        await story.forge(world, tell, invoice)
        await story.judge(world, tell, book)
