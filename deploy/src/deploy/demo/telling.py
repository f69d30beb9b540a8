"""How the story is told on the terminal."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

WIDTH = 100


class Teller:
    """Chapters, checks and pictures; plain text where the output is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, width=None if Console().is_terminal else WIDTH)
        self._began = monotonic()
        self._chapter = 0
        self.failed: list[str] = []

    def title(self) -> None:
        text = Text.assemble(("Duebell", "bold"), "  WhatsApp alerts and reminders for Xero invoices\n\n")
        text.append(
            "Five services, RabbitMQ and Redis start on this machine. The sandbox plays Xero, WhatsApp and\n"
            "the customers; everything between them is the real thing, over real HTTP."
        )
        self._console.print(Panel(text, border_style="cyan", padding=(1, 2)))

    def chapter(self, name: str) -> None:
        self._chapter += 1
        self._console.print()
        self._console.print(Rule(f"[bold]{self._chapter}  {name}", align="left", style="cyan"))

    def say(self, text: str) -> None:
        self._console.print(f"  {text}")

    def progress(self, text: str) -> None:
        self._console.print(f"  [dim]{monotonic() - self._began:5.1f} s[/]  {text}")

    def check(self, right: bool, text: str) -> None:
        """A fact on the sandbox's side; one that does not hold fails the demo."""
        self._console.print(f"  {'[green]✓[/]' if right else '[bold red]✗[/]'} {text}")
        if not right:
            self.failed.append(text)

    def link(self, url: str) -> None:
        self._console.print(f"    [cyan]{url}[/]", soft_wrap=True)

    def bubble(self, title: str, text: str, below: str = "") -> None:
        """A message as the customer sees it."""
        self._console.print(
            Panel(
                Text(text),
                title=f"[green]{title}",
                subtitle=f"[dim]{below}" if below else None,
                title_align="left",
                subtitle_align="right",
                border_style="green",
                width=min(78, self._console.width),
                padding=(0, 1),
            )
        )

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        table = Table(*columns, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for row in rows:
            table.add_row(*row)
        with self._indented():
            self._console.print(table)

    @contextmanager
    def _indented(self) -> Iterator[None]:
        with self._console.capture() as captured:
            yield
        for line in captured.get().splitlines():
            self._console.print(Text.from_ansi(f"  {line}"), soft_wrap=True)

    def end(self) -> int:
        """The verdict; the exit code."""
        seconds = monotonic() - self._began
        self._console.print()
        if self.failed:
            lines = "\n".join(f"• {text}" for text in self.failed)
            self._console.print(Panel(f"[bold red]Not as promised:[/]\n{lines}", border_style="red", padding=(1, 2)))
            return 1
        self._console.print(
            Panel(
                f"[bold green]Everything was seen on the sandbox's side.[/]  {seconds:.0f} s\n\n"
                "Next: [bold]make up SANDBOX=1[/] keeps it running for you to play with; README.md and\n"
                "docs/going-live.md lead to your own Xero organisation and WhatsApp number.",
                border_style="green",
                padding=(1, 2),
            )
        )
        return 0
