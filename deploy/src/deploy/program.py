"""One process that is to be kept running."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """``environment`` is all the process gets. ``revision`` changes when files that it reads at start have changed.

    Servers are started first. On the way down a higher ``rank`` stops first, and those of one rank stop together.
    """

    service: str
    replica: int
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    is_server: bool
    rank: int = 500
    stop_signal: str = "TERM"
    stop_seconds: int = 30
    user: str | None = None
    open_files: int | None = None
    revision: str = ""
    port: int | None = None
    url: str = ""

    @property
    def name(self) -> str:
        return f"{self.service}-{self.replica}"

    def launch_file(self) -> dict[str, object]:
        """What :mod:`deploy.launch` reads."""
        return {
            "argv": list(self.argv),
            "environment": dict(self.environment),
            "directory": str(self.directory),
            "user": self.user,
            "open_files": self.open_files,
        }

    def digest(self) -> str:
        """Changes when the process has to be started anew to be up to date."""
        text = json.dumps([self.launch_file(), self.revision], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
