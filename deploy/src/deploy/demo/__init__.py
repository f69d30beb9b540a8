"""The whole story from nothing, on the sandbox: what Duebell does, seen from the customer's side."""

from deploy.demo.run import main

__all__ = ["main"]
