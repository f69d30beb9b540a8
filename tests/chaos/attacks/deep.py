"""Bodies that cost whoever takes them apart: nested, wide, and packed; forged, and with their sender's signature."""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from functools import partial

from chaos.attacks.senders import Sender
from chaos.attacks.target import Due, Target, at_once
from chaos.attacks.wire import ask, request

_AT_ONCE = 8
_DEPTHS = (10, 500, 990, 1100, 20_000)
_UNPACKED = 100 * 1024 * 1024
_FEW_UNPACKED = 10 * 1024 * 1024
_FEW = 3


def _lists(depth: int) -> bytes:
    return b'{"events":' + b"[" * depth + b"]" * depth + b"}"


def _objects(depth: int) -> bytes:
    return b'{"events":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


def _never_closed(depth: int) -> bytes:
    return b"[" * depth


def _inside_an_event(depth: int) -> bytes:
    return b'{"events":[{"resourceId":' + b"[" * depth + b"]" * depth + b"}]}"


def _inside_a_status(depth: int) -> bytes:
    inner = b'{"a":' * depth + b"1" + b"}" * depth
    status = b'{"id":"wamid.x","status":"sent","timestamp":"1782216000","x":' + inner + b"}"
    return b'{"entry":[{"id":"1","changes":[{"field":"messages","value":{"statuses":[' + status + b"]}}]}]}"


def _figures(depth: int) -> bytes:
    return b'{"events":[{"resourceId":' + b"9" * depth + b',"tenantId":1e' + b"9" * min(depth, 400) + b"}]}"


def _same_names(depth: int) -> bytes:
    return b"{" + b",".join([b'"events":[]'] * depth) + b"}"


def _surrogates(depth: int) -> bytes:
    return b'{"events":[{"eventType":"' + b"\\ud800" * depth + b'"}]}'


SHAPES: Mapping[str, Callable[[int], bytes]] = {
    "nested lists": _lists,
    "nested objects": _objects,
    "never closed": _never_closed,
    "nested inside an event": _inside_an_event,
    "nested inside a status": _inside_a_status,
    "a number of many figures": _figures,
    "one name many times": _same_names,
    "half characters": _surrogates,
}


async def deep(target: Target) -> None:
    """``count`` bodies, half of them rightly signed: these are kept, whatever is in them."""
    cases = [(shape, depth) for depth in _DEPTHS for shape in SHAPES]
    chosen = [cases[number % len(cases)] for number in range(target.count)]
    await at_once(_AT_ONCE, [partial(_one, target, number, *case) for number, case in enumerate(chosen)])


async def _one(target: Target, number: int, shape: str, depth: int) -> None:
    sender, _ = target.two()
    body = SHAPES[shape](depth)
    await _post(target, sender, shape, body, [], own=number // len(SHAPES) % 2 == 0)


async def _post(
    target: Target, sender: Sender, way: str, body: bytes, headers: list[tuple[str, str]], *, own: bool
) -> None:
    signed = sender.signed(body, None if own else "another key")
    answer = await ask(target.port, [request("POST", sender.path, signed + headers, body)])
    target.tell(f"{way}, {'signed' if own else 'forged'}", Due.YES if own else Due.REFUSAL, answer)


def bomb(packing: str, size: int) -> bytes:
    """A thousandth of ``size``, which it has again when it is unpacked."""
    plain = bytes(size)
    match packing:
        case "gzip":
            return gzip.compress(plain, mtime=0)
        case "deflate":
            return zlib.compress(plain)
        case _:
            return gzip.compress(gzip.compress(plain, mtime=0), mtime=0)


async def bombs(target: Target) -> None:
    """``count`` of each packing, forged and rightly signed."""
    size = _UNPACKED if target.count > _FEW else _FEW_UNPACKED
    packed = {packing: bomb(packing, size) for packing in ("gzip", "deflate", "gzip, gzip")}
    works = [
        partial(_bomb, target, packing, body, own=own)
        for _ in range(target.count)
        for packing, body in packed.items()
        for own in (False, True)
    ]
    # What is signed over the plain text is another body than this.
    sample = json.dumps({"events": []}).encode()
    works += [partial(_bomb, target, "gzip", gzip.compress(sample, mtime=0), own=False)] * target.count
    await at_once(_AT_ONCE, works)


async def _bomb(target: Target, packing: str, body: bytes, *, own: bool) -> None:
    sender, _ = target.two()
    await _post(target, sender, packing, body, [("content-encoding", packing)], own=own)
