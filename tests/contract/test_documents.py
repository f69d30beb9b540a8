"""What is made from code is committed as it is made: schemas, the message map, the configuration page."""

import pytest

from deploy.documents import documents
from deploy.paths import ROOT


@pytest.mark.parametrize("name", sorted(documents()))
def test_the_committed_page_is_the_one_the_code_makes(name: str) -> None:
    assert (ROOT / name).read_text() == documents()[name], "run `make docs`"


def test_no_schema_is_left_of_an_event_that_is_gone() -> None:
    committed = {f"docs/schemas/{path.name}" for path in (ROOT / "docs/schemas").iterdir()}
    assert committed == {name for name in documents() if name.startswith("docs/schemas/")}
