"""``SCALE="fetcher=3 token-broker=2"``."""

import pytest

from deploy.errors import StackError
from deploy.scale import parse_scale

SERVICES = ("ingress", "fetcher", "token-broker")


def test_what_is_not_named_runs_once() -> None:
    assert parse_scale("fetcher=3", SERVICES) == {"ingress": 1, "fetcher": 3, "token-broker": 1}


@pytest.mark.parametrize(
    "text", ["fetcher=3 token-broker=2", "fetcher=3,token-broker=2", "  token-broker=2\n fetcher=3"]
)
def test_blanks_and_commas_separate(text: str) -> None:
    assert parse_scale(text, SERVICES) == {"ingress": 1, "fetcher": 3, "token-broker": 2}


def test_none_of_a_service_may_run() -> None:
    assert parse_scale("fetcher=0", SERVICES)["fetcher"] == 0


@pytest.mark.parametrize("part", ["fetcher", "fetcher=", "fetcher=two", "fetcher=-1", "fetcher=21"])
def test_a_number_that_is_none_stops(part: str) -> None:
    with pytest.raises(StackError, match="SCALE"):
        parse_scale(part, SERVICES)


def test_a_misspelt_service_is_named_with_the_nearest() -> None:
    with pytest.raises(StackError, match=r"fetchr is not a service; did you mean fetcher\?"):
        parse_scale("fetchr=2", SERVICES)
