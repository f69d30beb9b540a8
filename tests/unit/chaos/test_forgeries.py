"""Every forgery really is one: it differs from what its sender would send, and the door's own functions refuse it."""

import json
from random import Random

import pytest

from chaos.attacks.deep import SHAPES
from chaos.attacks.forgeries import FORGERIES, is_genuine
from chaos.attacks.routes import RAW
from chaos.attacks.senders import Sender, meta, xero
from chaos.attacks.target import target
from ingress.signatures import any_meta_signature_matches, xero_signature_matches

XERO, META = xero("xero key"), meta("app secret")
ROUNDS = 30


def matches(sender: Sender, body: bytes, value: str) -> bool:
    if sender.name == "xero":
        return xero_signature_matches(body, value, [sender.key])
    return any_meta_signature_matches(body, value, [sender.key])


@pytest.mark.parametrize(("sender", "other"), [(XERO, META), (META, XERO)], ids=["xero", "whatsapp"])
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_differs_from_what_it_imitates_and_does_not_match(name: str, sender: Sender, other: Sender) -> None:
    aim = target(0, XERO.key, META.key, name, 1)
    for _ in range(ROUNDS):
        honest = aim.body(sender)
        post = FORGERIES[name](sender, other, honest, aim.dice)
        body, headers = post
        assert post != (honest, sender.signed(honest))
        assert not is_genuine(sender, post)
        given = [value for header, value in headers if header == sender.header]
        # Of two signatures one may be right, which is why the door takes none of two.
        assert len(given) > 1 or not any(matches(sender, body, value) for value in given)
        for header, value in headers:
            assert header == header.strip() != ""
            assert value == value.strip()
            assert (header + value).isascii()


def test_forgeries_follow_from_their_dice() -> None:
    def played(seed: int) -> list[object]:
        aim = target(0, XERO.key, META.key, str(seed), 1)
        return [forge(XERO, META, aim.body(XERO), aim.dice) for forge in FORGERIES.values()]

    assert played(1) == played(1) != played(2)


@pytest.mark.parametrize("sender", [XERO, META], ids=["xero", "whatsapp"])
def test_what_is_honest_is_genuine_and_matches(sender: Sender) -> None:
    aim = target(0, XERO.key, META.key, "1", 1)
    body = aim.body(sender)
    headers = sender.signed(body)
    assert json.loads(body)
    assert is_genuine(sender, (body, headers))
    assert matches(sender, body, dict(headers)[sender.header])


def test_there_are_many_kinds_and_none_is_empty() -> None:
    assert len(FORGERIES) >= 30
    assert all(shape(20) for shape in SHAPES.values())
    assert all(make(Random(1)) for make in RAW.values())
