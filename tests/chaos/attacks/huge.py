"""Bodies that are too large, or larger than they say, or as large as is allowed and many at once."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from chaos.attacks.senders import Sender
from chaos.attacks.target import Due, Target, at_once
from chaos.attacks.wire import ask

_PIECE = b"x" * 65536
_TOO_LARGE = 10 * 1024 * 1024
_LARGEST = 4 * 1024 * 1024
_AT_ONCE = 200

Pieces = Iterator[bytes]


def _head(sender: Sender, *lines: str) -> bytes:
    named = [f"POST {sender.path} HTTP/1.1", "host: door", f"{sender.header}: {sender.sign('another key', b'')}"]
    return "\r\n".join([*named, *lines, "", ""]).encode()


def _bytes(count: int) -> Pieces:
    for begin in range(0, count, len(_PIECE)):
        yield _PIECE[: min(len(_PIECE), count - begin)]


def declared(sender: Sender) -> Pieces:
    """Ten megabytes, announced."""
    yield _head(sender, f"content-length: {_TOO_LARGE}")
    yield from _bytes(_TOO_LARGE)


def boundless(sender: Sender) -> Pieces:
    """Ten megabytes that nobody announced."""
    yield _head(sender, "transfer-encoding: chunked")
    for piece in _bytes(_TOO_LARGE):
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def crumbs(sender: Sender) -> Pieces:
    """A hundred thousand chunks of one byte."""
    yield _head(sender, "transfer-encoding: chunked")
    for _ in range(100):
        yield b"1\r\nx\r\n" * 1000
    yield b"0\r\n\r\n"


def astronomic(sender: Sender) -> Pieces:
    """Only announced, with more figures than a number has."""
    yield _head(sender, f"content-length: {'9' * 200}")


def says_too_little(sender: Sender) -> Pieces:
    """What is beyond the ten bytes would be the next request."""
    yield _head(sender, "content-length: 10")
    yield from _bytes(100_000)


def largest(sender: Sender) -> Pieces:
    """As large as is allowed, and nobody's."""
    yield _head(sender, f"content-length: {_LARGEST}")
    yield from _bytes(_LARGEST)


def largest_unannounced(sender: Sender) -> Pieces:
    """The same in chunks."""
    yield _head(sender, "transfer-encoding: chunked")
    for piece in _bytes(_LARGEST - 1):
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


WAYS: Mapping[str, Callable[[Sender], Pieces]] = {
    "10 MB, announced": declared,
    "10 MB in chunks": boundless,
    "100,000 chunks of one byte": crumbs,
    "a length of 200 figures": astronomic,
    "more than it announces": says_too_little,
    "4 MB, forged": largest,
    "4 MB in chunks, forged": largest_unannounced,
}


async def huge(target: Target) -> None:
    """``count`` of each way, most of them at once."""
    ways = [way for _ in range(target.count) for way in WAYS]
    target.dice.shuffle(ways)
    await at_once(min(_AT_ONCE, len(ways)), [partial(_one, target, way) for way in ways])


async def _one(target: Target, way: str) -> None:
    sender, _ = target.two()
    answer = await ask(target.port, WAYS[way](sender), seconds=20)
    target.tell(way, Due.NO, answer)
