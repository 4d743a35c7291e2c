"""What a takeover proved, from the story of one in the lab and from every way in which it goes wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fixtures.facts.seen import Unseen
from fixtures.facts.story import story
from fixtures.facts.takeover import NEVER, takeover
from tests.worlds import DRILLS, runner

TOLD: dict[str, Any] = json.loads((DRILLS / "takeover.json").read_text())["body"]
APPROVED = (runner("prod-runner-01"), runner("prod-runner-02", "secondary"))
Change = Callable[[dict[str, Any]], Any]


def faults(*changes: Change) -> list[str]:
    told = copy.deepcopy(TOLD)
    for change in changes:
        change(told["found"])
    return takeover(story(told, "takeover")).faults(APPROVED)


def killed(found: dict[str, Any]) -> dict[str, Any]:
    """A canary that lost its runner, was cancelled, and ended."""
    found["interrupted"] = [
        {**found["canary"], "conclusion": "cancelled", "steps": ["success", "cancelled", "skipped"]}
    ]
    return found


def test_what_the_lab_told_holds() -> None:
    assert faults() == []
    assert faults(killed) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f["canary"].pop("started"), "was started by nobody"),
        (lambda f: f["canary"].update(started=61.0), "started at 01:01, and 01:00 is the limit"),
        (lambda f: f["canary"].update(runner="laptop"), "laptop, which is not approved, took canary"),
        (lambda f: f["canary"].update(runner="prod-runner-01"), "started on prod-runner-01, which was taken away"),
        (lambda f: f["canary"].update(locked="no"), "ran without the lock rehearsal"),
        (lambda f: f["canary"].update(conclusion="failure"), "failure at"),
        (lambda f: (f["canary"].pop("ended"), f["canary"].update(conclusion="")), "and did not end"),
        (lambda f: f.pop("returned"), "prod-runner-01 did not come back"),
        (lambda f: f["next"][0].pop("started"), "the primary is back, and canary"),
        (lambda f: f["next"][0].update(conclusion="failure"), "the primary is back, and canary"),
        (lambda f: f["next"][0].update(runner="prod-runner-02"), "is back, and took none of 1 canaries"),
        (lambda f: f["next"][0].update(runner="laptop"), "laptop, which is not approved"),
        (lambda f: (killed(f), f["interrupted"][0].pop("ended")), "nobody ended it"),
        (
            lambda f: (killed(f), f["interrupted"][0].update(conclusion="success")),
            "is called a success, and was killed half-way",
        ),
    ],
)
def test_each_way_to_break_it_is_said(change: Change, says: str) -> None:
    assert any(says in fault for fault in faults(change))


def test_a_standby_that_was_chosen_first_and_the_primary_then_is_a_return() -> None:
    assert faults(lambda f: f["next"].insert(0, {**f["next"][0], "runner": "prod-runner-02"})) == []


def test_a_github_that_shows_no_locks_proves_nothing_of_them_and_breaks_nothing() -> None:
    assert faults(lambda f: f["canary"].update(locked="unknown")) == []


@pytest.mark.parametrize("key", ["how", "primary", "limit", "lock", "canary", "interrupted", "next"])
def test_a_story_that_lacks_something_proves_nothing(key: str) -> None:
    told = copy.deepcopy(TOLD)
    del told["found"][key]
    with pytest.raises(Unseen):
        takeover(story(told, "takeover"))


@pytest.mark.parametrize("key", ["run", "runner", "conclusion", "locked", "steps", "why"])
def test_a_canary_that_lacks_something_proves_nothing(key: str) -> None:
    told = copy.deepcopy(TOLD)
    del told["found"]["canary"][key]
    with pytest.raises(Unseen):
        takeover(story(told, "takeover"))


def test_an_empty_story_is_none() -> None:
    with pytest.raises(Unseen):
        takeover(
            story({"drill": "takeover", "began": datetime.now(UTC).isoformat(), "events": [], "found": {}}, "takeover")
        )


def test_a_canary_is_a_sentence() -> None:
    found = takeover(story(TOLD, "takeover"))
    assert "started on prod-runner-02 at 00:" in repr(found.canary) and found.canary.started != NEVER
