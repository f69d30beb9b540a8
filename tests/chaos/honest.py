"""Honest senders who go on while the door is attacked, with everything odd that is right."""

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx

from chaos.attacks.senders import Sender
from chaos.attacks.wire import HOST

_EVERY = 0.05
_TIMEOUT = 5.0
"""Xero waits no longer."""
_LARGE_EVERY = 25
_WAITS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
"""After a large body was put off; senders repeat for a day."""
_PUT_OFF = {408, 503, None}
_WORDS = ("ünï", "दूरभाष", "請求書", "🧾", "\u2028", "e\u0301", "\\u00e9")


@dataclass(frozen=True)
class Letter:
    """A post and the answer that it has to get."""

    kind: str
    sender: Sender
    body: bytes
    signature: str
    wanted: int

    @property
    def is_large(self) -> bool:
        return len(self.body) > 64 * 1024


class Honest:
    """Twenty posts a second: rounds of the handshake, and bodies of nothing, so that nothing comes of them."""

    def __init__(self, port: int, xero: Sender, meta: Sender, dice: Random) -> None:
        self._base = f"http://{HOST}:{port}"
        self._xero = xero
        self._meta = meta
        self._dice = dice

    async def go_on(self, tell: Callable[[dict[str, Any]], object]) -> None:
        """Until cancelled."""
        under_way: set[asyncio.Task[None]] = set()
        async with httpx.AsyncClient(base_url=self._base, trust_env=False, timeout=_TIMEOUT) as http:
            try:
                for number in itertools.count(1):
                    task = asyncio.create_task(self._deliver(http, self._letter(number), tell))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                    await asyncio.sleep(_EVERY)
            finally:
                for task in under_way:
                    task.cancel()

    async def _deliver(self, http: httpx.AsyncClient, letter: Letter, tell: Callable[[dict[str, Any]], object]) -> None:
        waits: Sequence[float] = _WAITS if letter.is_large else ()
        for tries in itertools.count(1):
            status, ms, error = await _post(http, letter)
            if status not in _PUT_OFF or tries > len(waits):
                break
            await asyncio.sleep(waits[tries - 1])
        tell({"kind": letter.kind, "wanted": letter.wanted, "status": status, "ms": ms, "tries": tries, "error": error})

    def _letter(self, number: int) -> Letter:
        if number % _LARGE_EVERY == 0:
            return self._right("large", self._of_nothing(self._dice.choice([100_000, 1_000_000, 3_000_000])))
        match number % 4:
            case 0:
                return self._wrong()
            case 1:
                handshake = {"events": [], "firstEventSequence": 0, "lastEventSequence": 0, "entropy": self._text(4)}
                return self._signed("handshake, right", self._xero, json.dumps(handshake).encode(), 200)
            case _:
                return self._right("unicode and spacing", self._of_nothing(self._dice.choice([0, 300, 20_000])))

    def _wrong(self) -> Letter:
        """The other half of Xero's intent-to-receive rounds."""
        body = json.dumps({"events": [], "entropy": self._text(4)}).encode()
        right = self._xero.sign(self._xero.key, body)
        wrong = ("A" if right[0] != "A" else "B") + right[1:]
        return Letter("handshake, wrong", self._xero, body, wrong, 401)

    def _right(self, kind: str, body: bytes) -> Letter:
        sender = self._xero if b'"events"' in body else self._meta
        return self._signed(kind, sender, body, 200)

    def _signed(self, kind: str, sender: Sender, body: bytes, wanted: int) -> Letter:
        return Letter(kind, sender, body, sender.sign(sender.key, body), wanted)

    def _of_nothing(self, size: int) -> bytes:
        """A body of no event and of no change, spelled in one of many right ways."""
        name = self._dice.choice(["events", "entry"])
        content = {name: [], "entropy": self._text(3) + "x" * size}
        spelled = json.dumps(
            content,
            ensure_ascii=self._dice.random() < 0.5,
            indent=self._dice.choice([None, None, 1, "\t"]),
            separators=self._dice.choice([None, (",", ":"), (" , ", "  :  ")]),
        )
        return (
            self._dice.choice(["", " ", "\r\n"]).encode() + spelled.encode() + self._dice.choice([b"", b"\n", b"\t "])
        )

    def _text(self, words: int) -> str:
        return " ".join(self._dice.choices(_WORDS, k=words))


async def _post(http: httpx.AsyncClient, letter: Letter) -> tuple[int | None, float, str]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    headers = {"content-type": "application/json", letter.sender.header: letter.signature}
    status, error = None, ""
    try:
        async with asyncio.timeout(_TIMEOUT):
            status = (await http.post(letter.sender.path, content=letter.body, headers=headers)).status_code
    except (httpx.HTTPError, TimeoutError) as failure:
        error = type(failure).__name__
    return status, round((loop.time() - began) * 1000, 1), error
