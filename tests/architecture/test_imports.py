"""Importing any module opens nothing and reads no environment."""

import json
import os
import subprocess
import sys

IMPORT_ALL = """
import importlib, json, os, pkgutil, socket, sys


def refuse(*_, **__): raise AssertionError("a socket was opened")
socket.socket.connect = refuse
count = 0
for name in ("shared", "ingress", "token_broker", "fetcher", "scheduler", "notifier"):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if "migrations" in module.name or module.name.endswith("__main__"): continue
        importlib.import_module(module.name)
        count += 1
print(json.dumps({"modules": count}))
"""


def test_every_module_can_be_imported_with_an_empty_environment() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", IMPORT_ALL],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["modules"] > 50
