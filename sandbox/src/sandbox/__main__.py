"""`python -m sandbox`: runs both doubles on one port."""

from pathlib import Path
from typing import Annotated

import typer

from sandbox.server import serve


def main(
    port: Annotated[int, typer.Option(help="0 takes any free port")] = 9400,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port_file: Annotated[Path | None, typer.Option(help="write the port number here once ready")] = None,
) -> None:
    """Run working doubles of Xero and of WhatsApp's Cloud API."""
    serve(host, port, port_file)


if __name__ == "__main__":
    typer.run(main)
