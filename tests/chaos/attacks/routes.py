"""Everything but a webhook: wrong paths and methods, wrong words at the handshake, and what is no HTTP at all."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from random import Random
from urllib.parse import quote

from chaos.attacks.target import Due, Target, at_once
from chaos.attacks.wire import NONE, Wire, request

_AT_ONCE = 32
_METHODS = (
    *("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"),
    *("get", "Post", "FOO", "X-", "PURGE", "M-SEARCH", "GET" * 15),
)
_PATHS = (
    *("/", "/webhooks", "/webhooks/", "/webhooks/xero/", "/webhooks/whatsapp/", "/webhooks/xero/../whatsapp"),
    *("/webhooks//xero", "//webhooks/xero", "/WEBHOOKS/XERO", "/webhooks/xero%00", "/webhooks/xero%2f"),
    *("/webhooks/%78ero%20", "/webhooks/xero;a=b", "/webhooks/twilio", "/admin", "/docs", "/openapi.json", "/.env"),
    *("/.git/config", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/connect", "/token", "/metrics/", "/livez/"),
    *("/readyz/x", "/%ff%fe", "/%c0%af", "/webhooks/xero%ed%a0%80", "*", "http://elsewhere/webhooks/xero"),
    *("//elsewhere/", "door:80", "/?a=%zz", "/webhooks/twilio?x=%00", "/favicon.ico"),
)
_WORDS = ("", "guess", "sandbox-verify-toke", "SANDBOX-VERIFY-TOKEN", "é", "\x00", "a" * 5000, "sandbox-verify-token ")
_HEADERS = (
    ("host", "[::1"),
    ("host", "a b"),
    ("host", "elsewhere@door"),
    ("x-forwarded-for", "1.2.3.4, [::, x"),
    ("x-forwarded-proto", "gopher"),
    ("content-type", "multipart/form-data; boundary="),
    ("cookie", "=; =;;\xff"),
    ("accept-encoding", "gzip;q=x"),
    ("range", "bytes=0-,0-,0-"),
    ("upgrade", "websocket"),
    ("expect", "100-continue"),
    ("content-encoding", "br"),
)


def _line(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("latin-1")


RAW: Mapping[str, Callable[[Random], bytes]] = {
    "random bytes": lambda dice: dice.randbytes(dice.randrange(1, 3000)) + b"\r\n\r\n",
    "HTTP/2's preface": lambda dice: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + dice.randbytes(60),
    "TLS": lambda dice: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(500),
    "another version": lambda dice: _line(
        f"POST /webhooks/xero HTTP/{dice.choice(['0.9', '2.0', '9.9', '1', 'x', '1.1.1', '11.1'])}\nhost: door\n\n"
    ),
    "no version": lambda dice: _line("GET /webhooks/xero\n\n"),
    "no host": lambda dice: _line("POST /webhooks/xero HTTP/1.1\n\n"),
    "two hosts": lambda dice: _line("GET / HTTP/1.1\nhost: a\nhost: b\n\n"),
    "a flood of headers": lambda dice: _line(
        "GET / HTTP/1.1\nhost: door\n" + "".join(f"x-{n}: {n}\n" for n in range(dice.choice([100, 1000, 5000]))) + "\n"
    ),
    "an endless header": lambda dice: _line(
        f"GET / HTTP/1.1\nhost: door\nx: {'a' * dice.choice([20_000, 300_000])}\n\n"
    ),
    "60,000 headers without a value": lambda dice: _line("GET / HTTP/1.1\nhost: door\n" + "a:\n" * 60_000 + "\n"),
    "the same behind another request": lambda dice: _line(
        "POST /webhooks/xero HTTP/1.1\nhost: door\ncontent-length: 0\n\n"
        "GET / HTTP/1.1\nhost: door\n" + "a:\n" * 60_000 + "\n"
    ),
    "an endless path": lambda dice: _line(f"GET /{'a' * dice.choice([5_000, 300_000])} HTTP/1.1\nhost: door\n\n"),
    "a header without a name": lambda dice: _line("GET / HTTP/1.1\nhost: door\n: x\n\n"),
    "white space before a colon": lambda dice: _line("POST /webhooks/xero HTTP/1.1\nhost: door\nx : y\n\n"),
    "a folded header": lambda dice: _line("GET / HTTP/1.1\nhost: door\nx: a\n b\n\tc\n\n"),
    "a header with a nought": lambda dice: _line("GET / HTTP/1.1\nhost: door\nx: a\0b\n\n"),
    "bare line feeds": lambda dice: b"POST /webhooks/xero HTTP/1.1\nhost: door\ncontent-length: 0\n\n",
    "two lengths": lambda dice: _line(
        "POST /webhooks/xero HTTP/1.1\nhost: door\ncontent-length: 3\ncontent-length: 5\n\nabcde"
    ),
    "a wrong length": lambda dice: _line(
        "POST /webhooks/xero HTTP/1.1\nhost: door\n"
        f"content-length: {dice.choice(['-1', '+5', '0x5', '5a', '', '1e3'])}\n\nx"
    ),
    "chunks and a length": lambda dice: _line(
        "POST /webhooks/xero HTTP/1.1\nhost: door\ncontent-length: 4\ntransfer-encoding: chunked\n\n"
        "0\n\nGET / HTTP/1.1\n\n"
    ),
    "another transfer encoding": lambda dice: _line(
        f"POST /webhooks/xero HTTP/1.1\nhost: door\ntransfer-encoding: "
        f"{dice.choice(['gzip, chunked', 'identity', 'chunked, chunked', 'xchunked', 'gzip'])}\n\n0\n\n"
    ),
    "a wrong chunk size": lambda dice: _line(
        "POST /webhooks/xero HTTP/1.1\nhost: door\ntransfer-encoding: chunked\n\n"
        f"{dice.choice(['-1', 'zz', '0x1', 'f' * 40, '', ' 1', '1' * 20])}\nx\n0\n\n"
    ),
    "an endless chunk extension": lambda dice: _line(
        f"POST /webhooks/xero HTTP/1.1\nhost: door\ntransfer-encoding: chunked\n\n1;{'a' * 40_000}\nx\n0\n\n"
    ),
    "endless trailers": lambda dice: _line(
        "POST /webhooks/xero HTTP/1.1\nhost: door\ntransfer-encoding: chunked\n\n0\n" + "x: y\n" * 10_000 + "\n"
    ),
    "rubbish after an answered request": lambda dice: (
        _line("GET /livez HTTP/1.1\nhost: door\n\n") + dice.randbytes(400) + b"\r\n\r\n"
    ),
    "rubbish in an answered request": lambda dice: _line(
        "POST /nowhere HTTP/1.1\nhost: door\ntransfer-encoding: chunked\n\n1\nx\nrubbish\n\n"
    ),
    "many requests at once": lambda dice: (
        _line("POST /webhooks/xero HTTP/1.1\nhost: door\ncontent-length: 0\n\n") * 200
    ),
    "an upgrade": lambda dice: _line(
        "GET /webhooks/xero HTTP/1.1\nhost: door\nconnection: upgrade\nupgrade: "
        f"{dice.choice(['websocket', 'h2c'])}\nsec-websocket-key: x\nsec-websocket-version: 13\n\n"
    ),
    "only line ends": lambda dice: b"\r\n" * dice.randrange(1, 3000),
    "half a request, and gone": lambda dice: _line(
        "POST /webhooks/xero HTTP/1.1\nhost: door\ncontent-length: 50\n\nab"
    ),
}
_GONE = {"half a request, and gone"}
_FIRST_IS_RIGHT = {"rubbish after an answered request"}


async def routes(target: Target) -> None:
    """``count`` in all: a third paths and methods, a third raw bytes, a sixth handshakes, the rest health."""
    plays = [
        *[partial(_path, target)] * (target.count // 3),
        *[partial(_handshake, target)] * (target.count // 6),
        *[partial(_health, target)] * (target.count // 6),
    ]
    ways = list(RAW)
    plays += [partial(_raw, target, ways[number % len(ways)]) for number in range(target.count - len(plays))]
    target.dice.shuffle(plays)
    await at_once(_AT_ONCE, plays)


async def _path(target: Target) -> None:
    method, path = target.dice.choice(_METHODS), target.dice.choice(_PATHS)
    if target.dice.random() < 0.2:
        path += quote(target.dice.randbytes(8))
    headers = target.dice.sample(_HEADERS, target.dice.randrange(3))
    body = target.dice.choice([b"", b"", b"x", b"{}" * 2000])
    await _send(target, "paths and methods", request(method, path, headers, body))


async def _handshake(target: Target) -> None:
    word, mode = target.dice.choice(_WORDS), target.dice.choice(["subscribe", "subscribe", "unsubscribe", ""])
    query = f"hub.mode={mode}&hub.challenge=1&hub.verify_token={quote(word)}"
    if target.dice.random() < 0.2:
        query = f"hub.verify_token={quote(word)}&{query}"
    await _send(target, "a wrong word at the handshake", request("GET", f"/webhooks/whatsapp?{query}", [], b""))


async def _health(target: Target) -> None:
    path = target.dice.choice(["/livez", "/livez", "/metrics", "/readyz"])
    await _send(target, "health", request("GET", path, [], b""), Due.YES)


async def _raw(target: Target, way: str) -> None:
    due = Due.YES if way in _FIRST_IS_RIGHT else Due.NO
    # Some of it is an unfinished request, which nobody waits for to the end.
    wait = 0.01 if way in _GONE else 8 if due is Due.YES else 1
    await _send(target, way, RAW[way](target.dice), due, wait)


async def _send(target: Target, way: str, data: bytes, due: Due = Due.NO, wait: float = 8) -> None:
    answer = NONE
    with suppress(OSError, TimeoutError):
        async with Wire(target.port) as wire:
            with suppress(OSError):
                await wire.send(data)
            answer = await wire.answer(wait, bodiless=data.startswith(b"HEAD "))
    target.tell(way, due, answer)
