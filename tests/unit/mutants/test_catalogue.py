"""The catalogue stands: every patch fits the tree, and what must notice it exists."""

import ast
import shutil
from pathlib import Path

import pytest

from chaos.checks import CHECKS
from chaos.faults import FAULTS
from deploy.paths import ROOT
from mutants.catalogue import MUTANTS, Mutant
from mutants.catchers import Play, Results, Tests, read_results
from mutants.page import Row, page
from mutants.trial import PATCHES, apply

IDS = [mutant.name for mutant in MUTANTS]


def test_there_are_enough_each_with_a_name_and_a_patch_of_its_own() -> None:
    assert len(MUTANTS) >= 24
    assert len(set(IDS)) == len(IDS)
    assert {path.stem for path in PATCHES.glob("*.patch")} == set(IDS)
    assert len({mutant.patch.read_text() for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.skipif(shutil.which("git") is None, reason="git applies the patches")
@pytest.mark.parametrize("mutant", MUTANTS, ids=IDS)
def test_a_patch_fits_the_product(mutant: Mutant) -> None:
    touched = [line.removeprefix("+++ b/") for line in mutant.patch.read_text().splitlines() if line.startswith("+++")]
    assert touched
    assert all(path.startswith(("services/", "shared/")) for path in touched)
    apply(mutant.patch, ROOT, only_check=True)


@pytest.mark.parametrize("mutant", MUTANTS, ids=IDS)
def test_what_must_notice_it_exists(mutant: Mutant) -> None:
    match mutant.catcher:
        case Play(faults=faults, checks=checks):
            assert set(faults.split(",")) <= set(FAULTS)
            assert checks
            assert set(checks) <= set(CHECKS)
        case Tests(nodes=nodes):
            assert nodes
            for node in nodes:
                path, _, name = node.partition("::")
                assert name.partition("[")[0] in functions_of(ROOT / path)


def functions_of(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_a_test_that_could_not_begin_is_no_failure(tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    file.write_text(
        """<testsuites><testsuite><testcase classname="a.b" name="ok"/>
        <testcase classname="a.b" name="no"><failure message="assert 1 == 2"/></testcase>
        <testcase classname="a.b" name="broken"><error message="ImportError"/></testcase>
        <testcase classname="a.b" name="left"><skipped message="why"/></testcase></testsuite></testsuites>"""
    )
    assert read_results(file) == Results(
        1, (("b::no", "assert 1 == 2"),), (("b::broken", "ImportError"),), ("b::left",)
    )
    assert read_results(tmp_path / "none") == Results()


def test_the_page_keeps_what_was_not_tried_again() -> None:
    first = page([Row("a", "x", True, "t: assert | not", 1, "c1"), Row("b", "y", False, "no", 2, "c1")], ["a", "b"])
    assert "**1 of 2 caught.**" in first
    again = page([Row("b", "y", True, "lost × 2", 3, "c2")], ["a", "b", "new"], first)
    assert "**2 of 2 caught.** Not tried yet: new." in again
    assert "| a | x | t: assert \\| not | 1 | c1 |\n| b | y | lost × 2 | 3 | c2 |" in again
