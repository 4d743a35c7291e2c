"""What a drill lock says, what a note of an unfinished drill says, and what the diary of drills says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures.facts.drilled import parse
from fixtures.facts.hold import Hold, hold
from fixtures.facts.seen import Unseen
from fixtures.facts.undone import Undone, undone

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
MINE = Hold("run 7", "takeover", NOW, NOW + timedelta(minutes=45), "a" * 16)
LEFT = Undone(
    "takeover", "run 7", NOW, 42, "123", "b", "w", "prod-1", "x.service", "service-stopped", NOW + timedelta(minutes=15)
)


def test_a_lock_comes_back_as_it_was_written() -> None:
    assert hold(MINE.as_text()) == MINE
    assert repr(MINE) == "run 7 has held it for takeover since 2026-11-22 03:00Z, until 03:45Z"


def test_it_ends_by_itself() -> None:
    assert not MINE.over(NOW + timedelta(minutes=44)) and MINE.over(NOW + timedelta(minutes=45))


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        "",
        "{}",
        "[]",
        "yes",
        "[" * 100_000,
        json.dumps({**json.loads(MINE.as_text()), "until": "2026-11-22T03:00"}),
    ],
)
def test_what_nobody_of_ours_wrote_is_no_lock(text: Any) -> None:
    assert hold(text) is None


def test_a_note_comes_back_as_it_was_written() -> None:
    assert undone(LEFT.as_text()) == LEFT
    nothing = replace(LEFT, runner="", unit="", how="", mends=None)
    assert undone(nothing.as_text()) == nothing


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", "{", json.dumps({**json.loads(LEFT.as_text()), "process": "x"})]
)
def test_what_is_no_note_says_nothing(text: str) -> None:
    assert undone(text) is None


def test_a_note_says_what_was_taken_away_and_when_it_is_given_back() -> None:
    assert LEFT.told(NOW) == (
        "the drill takeover of 2026-11-22 03:00Z (run 7) did not end: prod-1 was taken away (service-stopped), and its host "
        "gives it back by itself at 03:15Z; `pytest --drill` puts right what is left"
    )
    assert "has given it back by itself at 03:15Z" in LEFT.told(NOW + timedelta(hours=1))
    assert "it had taken no runner away" in replace(LEFT, runner="", mends=None).told(NOW)


def row(outcome: str, days: float, check: str = "failover/takeover") -> dict[str, Any]:
    at = (NOW - timedelta(days=days)).isoformat()
    return {"format": 1, "time": at, "check": check, "outcome": outcome, "runner": "prod-2", "story": {}}


def test_a_drill_that_held_counts_while_it_is_young() -> None:
    kept = parse([row("held", 6)], NOW, 0)
    assert kept.held("failover/takeover", timedelta(days=7)) and not kept.held("failover/takeover", timedelta(days=5))
    assert not kept.held("rollback/returns", timedelta(days=7))
    assert kept.told("failover/takeover") == "the last drill of failover/takeover, 6 d ago, held"
    assert kept.told("rollback/returns") == "no drill of rollback/returns is kept here"


def test_one_that_broke_since_proves_the_contrary() -> None:
    kept = parse([row("held", 2), row("broken", 1)], NOW, 0)
    assert not kept.held("failover/takeover", timedelta(days=7))
    assert parse([row("broken", 2), row("held", 1)], NOW, 0).held("failover/takeover", timedelta(days=7))


@pytest.mark.parametrize(
    "line", [None, [], {}, {**row("held", 1), "format": 2}, {**row("held", 1), "time": "2026-11-22"}]
)
def test_a_line_that_no_drill_wrote_is_unseen(line: Any) -> None:
    with pytest.raises(Unseen):
        parse([line], NOW, 0)
    with pytest.raises(Unseen):
        parse([], NOW, 1)


def test_no_diary_is_no_drill() -> None:
    assert not parse([], NOW, 0).held("failover/takeover", timedelta(days=7))
