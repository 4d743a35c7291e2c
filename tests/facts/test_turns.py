"""What became of canaries that asked for the lock at once, from the story of the lab and from each way to break it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.facts.seen import Unseen
from fixtures.facts.story import story
from fixtures.facts.turns import turns
from tests.worlds import DRILLS

TOLD: dict[str, Any] = json.loads((DRILLS / "turns.json").read_text())["body"]
Change = Callable[[list[dict[str, Any]]], Any]


def faults(change: Change | None = None, queue: str = "single") -> list[str]:
    told = copy.deepcopy(TOLD)
    told["found"]["queue"] = queue
    if change:
        change(told["found"]["turns"])
    return turns(story(told, "turns")).faults()


def ran(row: dict[str, Any], after: dict[str, Any]) -> None:
    row.update(conclusion="success", runner="prod-runner-01", began=after["ended"], ended=after["ended"] + 15)


def test_what_the_lab_told_holds() -> None:
    assert faults() == []


def test_with_max_all_of_them_run() -> None:
    def all_run(rows: list[dict[str, Any]]) -> None:
        ran(rows[2], rows[1])
        ran(rows[3], rows[2])

    assert faults(all_run, "max") == []
    assert any("the queue is max: it should be success, and is cancelled" in fault for fault in faults(None, "max"))
    assert any("the queue is single: it should be cancelled, and is success" in fault for fault in faults(all_run))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: r[1].update(began=r[0]["ended"] - 1), "worked at the same time"),
        (lambda r: r[3].update(began=r[1]["ended"] - 1), "worked at the same time"),
        (
            lambda r: r[1].update(conclusion="cancelled", began=0.0, ended=0.0),
            "was ordered with another, and it is cancelled",
        ),
        (lambda r: r[1].update(conclusion=""), "was ordered with another, and it is not ended"),
        (lambda r: [row.update(waited=False) for row in r], "neither was seen waiting"),
        (lambda r: r[2].update(conclusion=""), "it should be cancelled, and is not ended"),
        (lambda r: r[3].update(conclusion="cancelled"), "came last, and it is cancelled"),
    ],
)
def test_each_way_to_break_it_is_said(change: Change, says: str) -> None:
    assert any(says in fault for fault in faults(change))


def test_one_that_begins_when_the_other_ends_overlaps_with_nothing() -> None:
    assert faults(lambda r: r[1].update(began=r[0]["ended"])) == []


@pytest.mark.parametrize("missing", range(4))
def test_a_canary_that_is_not_told_of_proves_nothing(missing: int) -> None:
    with pytest.raises(Unseen):
        faults(lambda r: r.pop(missing))


@pytest.mark.parametrize("key", ["name", "run", "runner", "began", "ended", "conclusion", "waited"])
def test_a_row_that_lacks_something_proves_nothing(key: str) -> None:
    with pytest.raises(Unseen):
        faults(lambda r: r[0].pop(key))
