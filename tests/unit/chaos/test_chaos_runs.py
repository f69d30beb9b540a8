"""No run is forgotten: neither one that failed, nor one that broke off, nor one that was ended from outside."""

from pathlib import Path
from typing import Any

import pytest

from chaos.figures import figures_of
from chaos.history import Record
from chaos.report import again, headline, markdown
from chaos.runs import NO_END, Run, begun, ended, noted, publish_with_others, read, table, write
from unit.chaos.telling import Tale, sent


def about(at: float, size: str = "pr", **changes: Any) -> Record:
    told = {"what": "run", "at": at, "size": size, "seed": 7, "commit": "c", "release": "1.0", "day": "2026-01-01"}
    return {**told, "machine": "m", "versions": "v", **changes}


def run(at: float, tale: Tale | None = None, **changes: Any) -> Run:
    return ended(about(at, **changes), figures_of((tale or sent()).seen()))


def red() -> Tale:
    return sent().message("a")


def test_a_run_is_written_down_with_what_was_found(tmp_path: Path) -> None:
    ledger = tmp_path / "a" / "runs.jsonl"
    with noted(ledger, about(1.0)) as verdicts:
        assert [line.verdict for line in read(ledger)] == [f"broke off: {NO_END}"]
        verdicts.append(run(1.0, red()))
    with noted(ledger, about(2.0)) as verdicts:
        verdicts.append(run(2.0))
    assert [line.verdict for line in read(ledger)] == ["duplicate 1", "none"]


@pytest.mark.parametrize(
    ("error", "why"),
    [(KeyboardInterrupt(), "interrupted"), (ValueError("no\nluck | yet"), "ValueError: no luck / yet")],
)
def test_a_run_that_breaks_off_says_why(tmp_path: Path, error: BaseException, why: str) -> None:
    ledger = tmp_path / "runs.jsonl"
    with pytest.raises(type(error)), noted(ledger, about(1.0)):
        raise error
    assert [line.broke_off for line in read(ledger)] == [why]


def test_who_publishes_a_green_run_publishes_the_red_ones_with_it(tmp_path: Path) -> None:
    published, local = tmp_path / "published.jsonl", tmp_path / "local.jsonl"
    write(local, [run(1.0, red()), begun(about(2.0, "night")), run(3.0, size="kill-fetcher"), run(4.0)])
    shown = run(4.0)
    runs = publish_with_others(published, local, shown)
    assert [(line.size, line.verdict) for line in runs] == [
        ("pr", "duplicate 1"),
        ("night", f"broke off: {NO_END}"),
        ("pr", "none"),
    ]
    page = markdown(figures_of(sent().seen()), about(4.0), table(runs, shown.run))
    assert "| 2026-01-01, this one | c | pr | SQLite | 7 |" in page
    assert "duplicate 1" in page
    local.unlink()
    assert publish_with_others(published, local, run(5.0))[:-1] == runs


def test_a_run_that_is_judged_again_does_not_hide_what_was_found_first(tmp_path: Path) -> None:
    published = tmp_path / "published.jsonl"
    (first,) = publish_with_others(published, tmp_path / "none", run(1.0, red()))
    (second,) = publish_with_others(published, tmp_path / "none", run(1.0))
    assert (first.verdict, second.verdict) == ("duplicate 1", "none (1 when it was made)")
    assert publish_with_others(published, tmp_path / "none", run(1.0)) == [second]


def test_a_release_begins_a_table_of_its_own_and_keeps_the_old_lines(tmp_path: Path) -> None:
    published = tmp_path / "published.jsonl"
    publish_with_others(published, tmp_path / "none", run(1.0, red()))
    assert len(publish_with_others(published, tmp_path / "none", run(2.0, release="1.1"))) == 1
    assert len(read(published)) == 2


def test_a_run_names_its_database_and_an_old_one_had_files() -> None:
    told, old = about(2.0, database="postgresql"), about(1.0)
    assert [run(1.0).database, run(2.0, database="postgresql").database] == ["sqlite", "postgresql"]
    figures = figures_of(sent().seen())
    assert ("| SQLite |" in headline(figures, old), "| PostgreSQL |" in headline(figures, told)) == (True, True)
    assert again(told) == "make chaos CHAOS=pr SEED=7 DATABASE=postgresql"


def test_a_zero_is_told_with_its_number_of_trials() -> None:
    page = markdown(figures_of(sent().seen()), about(1.0))
    assert "| lost | 0 | 1 accepted events | too few to tell |" in page
    tale = sent()
    for number in range(299):
        tale.invoice(f"i{number}").event(f"i{number}").message(f"i{number}")
    assert "| lost | 0 | 300 accepted events | 1 % |" in markdown(figures_of(tale.seen()), about(1.0))
