"""The story of a drill: its clock, its way through JSON, and what is no story."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fixtures.facts.seen import Unseen
from fixtures.facts.story import Event, Story, clock, seconds, story

TOLD = Story(
    "takeover",
    datetime(2026, 11, 22, 3, 0, tzinfo=UTC),
    (
        Event(0.0, "the service of prod-1 stopped"),
        Event(7.4, "the canary dispatched"),
        Event(91.0, "started on prod-2"),
    ),
    {"started": 91.0},
)


@pytest.mark.parametrize(
    ("at", "reads"), [(0, "00:00"), (59.99, "00:59"), (60, "01:00"), (3723.5, "62:03"), (-0.1, "00:00")]
)
def test_the_clock_counts_whole_seconds_that_have_passed(at: float, reads: str) -> None:
    assert clock(at) == reads


def test_a_story_is_a_sentence() -> None:
    assert repr(TOLD) == "00:00 the service of prod-1 stopped, 00:07 the canary dispatched, 01:31 started on prod-2"
    assert repr(Story("takeover", TOLD.began, ())) == "nothing was done"


def test_a_story_comes_back_as_it_went() -> None:
    assert story(TOLD.as_json(), "takeover") == TOLD


@pytest.mark.parametrize(
    "changed",
    [
        {"drill": "returns"},
        {"drill": None},
        {"began": "yesterday"},
        {"events": None},
        {"events": [{"at": "0", "what": "x"}]},
        {"events": [{"at": float("nan"), "what": "x"}]},
        {"events": [{"at": True, "what": "x"}]},
        {"events": [{"at": -1, "what": "x"}]},
        {"events": [{"at": 1, "what": 5}]},
        {"events": [{"at": 2, "what": "x"}, {"at": 1, "what": "y"}]},
        {"found": []},
    ],
)
def test_what_is_no_story_proves_nothing(changed: dict[str, Any]) -> None:
    with pytest.raises(Unseen):
        story({**TOLD.as_json(), **changed}, "takeover")


@pytest.mark.parametrize("body", [None, [], "story", {}])
def test_nothing_is_no_story(body: Any) -> None:
    with pytest.raises(Unseen):
        story(body, "takeover")


@pytest.mark.parametrize("value", [None, "9", True, float("inf"), -1])
def test_a_time_that_was_not_measured_is_unseen(value: Any) -> None:
    with pytest.raises(Unseen):
        seconds({"started": value}, "started")
