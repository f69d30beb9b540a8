"""Every forgery of Twilio's really is one, and the door refuses it; what it signs is taken, however written."""

from random import Random

import httpx
import pytest

from chaos.attacks.twilio_forgeries import HEADER, PUBLIC, TWILIO_FORGERIES, Twilio, TwilioPost, is_genuine
from ingress.signatures import twilio_signature_matches
from support.outbox import FakeOutbox
from support.provider_cases import PUBLIC as DOORS_OWN
from support.provider_cases import SECRET, door

TWILIO = Twilio(SECRET, DOORS_OWN)
HERE = Twilio("auth token", PUBLIC)
ROUNDS = 30


def matches(twilio: Twilio, post: TwilioPost) -> bool:
    given = [value for name, value in post.headers if name == HEADER]
    return len(given) == 1 and twilio_signature_matches(post.body, given[0], twilio.address(post.query), [twilio.token])


@pytest.mark.parametrize("name", TWILIO_FORGERIES)
def test_a_forgery_differs_from_what_it_imitates_and_does_not_match(name: str) -> None:
    dice = Random(name)
    for _ in range(ROUNDS):
        honest = HERE.honest(dice)
        post = TWILIO_FORGERIES[name](HERE, honest, dice)
        assert post != honest
        assert not is_genuine(HERE, post)
        assert not matches(HERE, post)
        for header, value in post.headers:
            assert header == header.strip() != ""
            assert value == value.strip()
            assert (header + value).isascii()


def test_forgeries_follow_from_their_dice() -> None:
    def played(seed: int) -> list[TwilioPost]:
        dice = Random(seed)
        return [forge(HERE, HERE.honest(dice), dice) for forge in TWILIO_FORGERIES.values()]

    assert played(1) == played(1) != played(2)
    assert len(TWILIO_FORGERIES) >= 35


def test_what_is_honest_is_genuine_and_matches_in_any_order_and_any_encoding() -> None:
    dice = Random(1)
    for _ in range(ROUNDS):
        post = HERE.honest(dice)
        assert is_genuine(HERE, post)
        assert matches(HERE, post)
        pieces = post.body.split(b"&")
        again = b"&".join([*reversed(pieces), dice.choice(pieces)])
        for body in (again, post.body.replace(b"+", b"%20"), post.body.replace(b"M", b"%4d")):
            other = TwilioPost(post.query, body, post.headers)
            assert matches(HERE, other)


async def test_the_door_refuses_each_and_takes_what_is_honest_beside() -> None:
    outbox, dice, taken = FakeOutbox(), Random(7), 0
    async with door(outbox) as client:
        for name, forge in TWILIO_FORGERIES.items():
            for _ in range(3):
                honest = TWILIO.honest(dice)
                answer = await _send(client, forge(TWILIO, honest, dice))
                assert (name, answer.status_code, answer.content) == (name, 401, b"")
            assert len(outbox.events) == taken
            assert (await _send(client, honest)).status_code == 200
            taken += 1
    assert len(outbox.events) == taken
    assert outbox.kept == []


async def _send(client: httpx.AsyncClient, post: TwilioPost) -> httpx.Response:
    return await client.post(post.path, content=post.body, headers=post.headers)
