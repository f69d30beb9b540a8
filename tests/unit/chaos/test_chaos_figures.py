"""Counts, percentiles, plans and forgeries: what a report and a run are made of."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from chaos.databases import KINDS
from chaos.faults import FAULTS
from chaos.figures import figures_of
from chaos.history import History, read_history
from chaos.limits import most_at_once, most_in_a_minute
from chaos.percentiles import percentile
from chaos.plan import plan_of
from chaos.points import POINTS
from chaos.report import headline, markdown
from chaos.run import lanes_of
from chaos.webhooks import FORGERIES, SIGNATURE, body_of, event, signature
from deploy.services import NAMES
from ingress.signatures import xero_signature_matches
from unit.chaos.telling import Tale, sent


def test_figures_count_events_by_their_end_and_faults_by_their_recovery() -> None:
    tale = sent().invoice("b").event("b").fault("kill-notifier", "begin", "end", kills=1).message("b")
    tale.records.append({**tale.records[-2], "phase": "recovered"})
    tale.attempt("a", "r1", 1.0, None, state="delivered").attempt("b", "r2", 1.0, "unknown", state="unknown")
    figures = figures_of(tale.seen())
    assert (figures.events, figures.ends["sent"], figures.kills) == (2, 2, 1)
    assert (figures.unknown, figures.settled) == (2, 1)
    (recovery,) = figures.recoveries
    assert (recovery.backlog, recovery.first, recovery.last) == (1, 1.0, 1.0)


def test_the_report_says_what_was_found() -> None:
    tale = sent().message("a")
    tale.records[0] = {**tale.records[0], "day": "d", "machine": "m", "versions": "v"}
    seen = tale.seen()
    figures = figures_of(seen)
    assert "duplicate 1" in headline(figures, seen.run)
    page = markdown(figures, seen.run)
    assert "1 violations" in page
    assert "2 × issued" in page


def test_attacks_are_counted_in_the_headline_and_have_a_section() -> None:
    tale = sent().invoice("b").event("b", status=401, forged="no signature").attack()
    tale.records[0] = {**tale.records[0], "day": "d", "machine": "m", "versions": "v"}
    seen = tale.seen()
    figures = figures_of(seen)
    assert "forged accepted 0 of 9001" in headline(figures, seen.run)
    page = markdown(figures, seen.run)
    assert "## Hostile input" in page
    assert "| hostile-forged | 9015 | 200 × 5, 401 × 9000, 413 × 9, none × 1 | 8 | 1 | 12 ms | 80 ms | 72 MB |" in page
    assert "## Hostile input" not in markdown(figures_of(sent().seen()), seen.run)


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.99, 4), (1.0, 4)])
def test_a_percentile_is_a_value_that_was_seen(share: float, value: float) -> None:
    assert percentile([4, 1, 3, 2], share) == value
    assert percentile([], share) is None


def test_windows_and_overlaps() -> None:
    assert most_in_a_minute([0, 1, 59, 60.5, 61]) == 3
    assert most_at_once([(0, 2), (1, 3), (2, 4)]) == 2


def test_a_plan_follows_from_its_seed() -> None:
    assert plan_of("pr", 7) == plan_of("pr", 7)
    assert plan_of("pr", 7).faults != plan_of("pr", 8).faults
    assert [fault.name for fault in plan_of("kill-notifier,redis-kill", 1).faults] == ["kill-notifier", "redis-kill"]
    assert {fault.name.partition("-")[0] for fault in plan_of("hostile", 1).faults} == {"hostile"}
    assert [plan_of(size, 1).full for size in ("pr", "night", "hostile", "hostile-slow")] == [False, True, True, True]
    planned = [
        {fault.name for size in ("night", "cluster") for fault in plan_of(size, 1, database=kind).faults}
        for kind in KINDS
    ]
    assert planned[0] | planned[1] == set(FAULTS)
    assert {FAULTS[name].database for name in planned[0] ^ planned[1]} == set(KINDS)
    assert not any(fault.cluster for fault in plan_of("night", 1).faults + plan_of("pr", 1).faults)
    played = Counter(fault.name for fault in plan_of("points", 1, rounds=3).faults)
    assert played == dict.fromkeys((f"at-{point.title}" for point in POINTS), 3)


def test_every_round_of_the_points_has_each_of_them_once_in_one_lane_a_service() -> None:
    plan = plan_of("points", 1, rounds=2)
    for first in (0, plan.in_round):
        numbered = list(enumerate(plan.faults, start=1))[first : first + plan.in_round]
        lanes = lanes_of(numbered)
        assert {number for lane in lanes for number, _ in lane} == {number for number, _ in numbered}
        assert {fault.service for _, fault in lanes[0]} == {"notifier"}
        assert sorted(service for lane in lanes for service in {fault.service for _, fault in lane}) == sorted(NAMES)
        assert len({fault.name for _, fault in numbered}) == len(POINTS)


def test_the_short_run_has_what_it_must_have_and_nothing_that_lasts() -> None:
    plan = plan_of("pr", 1)
    names = {fault.name for fault in plan.faults}
    killed = {f"kill-{service}" for service in NAMES} | {"rabbitmq-kill", "redis-kill"}
    links = {"rabbitmq-answers-lost", "redis-reset", "xero-cut", "whatsapp-reset"}
    others = {"rolling-restart", "poison", "unroutable", "whatsapp-ambiguous", "token-expiries"}
    assert killed | links | others <= names
    assert {fault.database for fault in plan.faults} == {""}
    on_postgresql = {fault.name for fault in plan_of("pr", 1, database="postgresql").faults}
    assert on_postgresql - names == {"postgresql-kill", "postgresql-reset", "postgresql-answers-lost"}
    assert all(fault.seconds <= 8 and not fault.lingers and not fault.silences for fault in plan.faults)


def test_every_forgery_is_one_and_the_honest_body_is_none() -> None:
    dice, key = Random(3), "key"
    body = body_of([event("t", "i", "CREATE", "2026-01-01T00:00:00.000")], 1, dice)
    assert xero_signature_matches(body, signature(key, body), [key])
    for name, forge in FORGERIES.items():
        for _ in range(50):
            changed, headers = forge(key, body, dice)
            assert not xero_signature_matches(changed, headers.get(SIGNATURE), [key]), name


def test_a_history_is_read_back_and_forgets_only_what_is_settled(tmp_path: Path) -> None:
    with History(tmp_path / "h.jsonl", lambda: 5.0) as history:
        for record in sent().records:
            history.add(**record)
        history.forget(1000.0)
        assert [row.get("kind") if row["what"] == "journal" else row["what"] for row in history.recent] == [
            "invoice",
            "whatsapp.message",
        ]
    assert read_history(tmp_path / "h.jsonl") == sent().records


def test_an_unanswered_post_is_not_forgotten(tmp_path: Path) -> None:
    tale = Tale().invoice("a").event("a", status=503)
    with History(tmp_path / "h.jsonl", lambda: 0.0) as history:
        history.recent = list(tale.records)
        history.forget(1000.0)
    assert [row["what"] for row in history.recent] == ["invoice", "post"]
