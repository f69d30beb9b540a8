"""The page that says where each promise is proven names only what there is."""

import re
from pathlib import Path

from chaos.faults import FAULTS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "proofs.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"`([^`\n]+)`", PAGE))


def test_every_fault_that_is_named_can_be_played() -> None:
    # An ending or a beginning stands for several.
    named = {word for word in WORDS if re.fullmatch(r"-?[a-z]+(-[a-z]+)*-?", word) and "-" in word}
    assert named
    endings = {word for word in named if not any(name.startswith(word) or name.endswith(word) for name in FAULTS)}
    assert endings == set()


def test_every_file_that_is_named_is_there() -> None:
    names = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    files = {word for word in WORDS if word.endswith(".py")}
    assert files
    assert {word for word in files if "/" in word and not (ROOT / word).is_file()} == set()
    assert {word for word in files if Path(word).name not in names} == set()
