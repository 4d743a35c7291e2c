"""What the stories of the rollback drills prove, and what they do not: every field, and each way to lack one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fixtures.facts.interrupted import interrupted
from fixtures.facts.returns import returns
from fixtures.facts.seen import Unseen
from fixtures.facts.story import Event, Story

A, B, SICK = "1" * 40, "2" * 40, "5" * 40
ANSWERS = {"requests": 900, "failed": 0, "mixed": 0, "told": []}


def kill(after: str, served: str, code: int = 0, landed: str = B) -> dict[str, Any]:
    return {"after": after, "served": served, "code": code, "said": "the last line", "landed": landed}


def found(**changed: Any) -> dict[str, Any]:
    return {
        "where": "rehearsal", "before": A, "wanted": B, "kills": [kill("locked", A), kill("switched", B)],
        "sick": [{"code": 69, "served": A}], "answers": dict(ANSWERS), "left": A, **changed,
    }  # fmt: skip


def back(**changed: Any) -> dict[str, Any]:
    return {
        "where": "rehearsal", "good": A, "before": A, "run": 7, "runner": "prod-1", "environment": "rehearsal", "limit": 60.0,
        "back": 31.2, "conclusion": "success", "recorded": True, "answers": dict(ANSWERS), "left": A, "why": "", **changed,
    }  # fmt: skip


def told(drill: str, measured: dict[str, Any]) -> Story:
    return Story(drill, datetime(2026, 11, 22, 3, tzinfo=UTC), (Event(0, "begun"), Event(61, "ended")), measured)


def test_a_deploy_that_may_be_killed() -> None:
    fact = interrupted(told("interrupted", found()))
    assert fact.faults() == []
    assert repr(fact) == (
        "killed 2 times on rehearsal: the release before served after 1, the new one after 1; "
        "900 requests all the while, 0 failed, 0 mixed; 00:00 begun, 01:01 ended"
    )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"kills": [kill("locked", A), kill("copied", "")]}, "killed after 'copied', nothing serves"),
        ({"kills": [kill("locked", A), kill("copied", SICK)]}, "killed after 'copied', 555555555555 serves"),
        ({"kills": [kill("locked", A, 75)]}, "its retry did not land: exit 75 (the last line)"),
        ({"kills": [kill("locked", A, landed=A)]}, "its retry succeeded, and 111111111111 serves"),
        ({"kills": [kill("switched", B)]}, "after none of the kills the release before (111111111111) served"),
        ({"sick": [{"code": 0, "served": SICK}]}, "was called a success, and 555555555555 serves"),
        ({"sick": [{"code": 0, "served": A}]}, "does not serve was called a success"),
        ({"sick": [{"code": 69, "served": ""}]}, "ended with 69, and nothing serves"),
        ({"left": B}, "could not put rehearsal back: 222222222222 serves there"),
        ({"left": ""}, "could not put rehearsal back: nothing serves there"),
        (
            {"answers": {"requests": 9, "failed": 1, "mixed": 2, "told": ["failed: status 503"]}},
            "9 requests all the while, 1 failed, 2 mixed: failed: status 503",
        ),
    ],
)  # fmt: skip
def test_what_a_killed_deploy_must_not_leave(changed: dict[str, Any], says: str) -> None:
    faults = interrupted(told("interrupted", found(**changed))).faults()
    assert len(faults) == 1 and says in faults[0], faults


def test_nothing_is_counted_where_nobody_asks() -> None:
    answers = {"requests": 0, "failed": 0, "mixed": 0, "told": []}
    fact = interrupted(told("interrupted", found(answers=answers, sick=[])))
    assert fact.faults() == []
    assert "nobody asked all the while (drills.target.url)" in repr(fact)


def test_a_way_back_in_time() -> None:
    fact = returns(told("returns", back()))
    assert fact.faults() == []
    assert "900 requests" in repr(fact)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"back": 61.0}, "111111111111 answered at 01:01, and 01:00 is the limit"),
        ({"conclusion": "failure", "why": "Return failed"}, "run 7 ended: failure (Return failed)"),
        ({"conclusion": ""}, "run 7 did not end"),
        ({"recorded": False}, "the record of rehearsal has no successful deployment of run 7"),
        ({"left": B}, "could not put rehearsal back: 222222222222 serves there"),
        ({"answers": {"requests": 5, "failed": 5, "mixed": 0, "told": ["x"]}}, "5 failed"),
    ],
)
def test_what_a_way_back_must_not_be(changed: dict[str, Any], says: str) -> None:
    faults = returns(told("returns", back(**changed))).faults()
    assert len(faults) == 1 and says in faults[0], faults


def test_a_release_that_never_came_back() -> None:
    measured = back(conclusion="failure", why="Return failed", recorded=False)
    del measured["back"]
    assert returns(told("returns", measured)).faults() == [
        "run 7 did not bring 111111111111 back within 01:00 (Return failed)",
        "run 7 ended: failure (Return failed)",
    ]


@pytest.mark.parametrize(("make", "whole"), [(interrupted, found), (returns, back)])
def test_a_story_without_one_of_its_parts_proves_nothing(
    make: Callable[[Story], Any], whole: Callable[[], dict[str, Any]]
) -> None:
    optional = {"back"}
    for key in whole().keys() - optional:
        measured = whole()
        del measured[key]
        with pytest.raises(Unseen):
            make(told("x", measured))
        for wrong in (None, 5.5, {"x": 1}, [1]):
            if key == "limit" and wrong == 5.5:
                continue
            with pytest.raises(Unseen):
                make(told("x", {**whole(), key: wrong}))


@pytest.mark.parametrize(
    "answers",
    [{"requests": 1, "failed": 1, "mixed": 1, "told": []}, {"requests": -1, "failed": 0, "mixed": 0, "told": []}, {}],
)
def test_counts_that_do_not_add_up_are_none(answers: dict[str, Any]) -> None:
    for make, whole in ((interrupted, found), (returns, back)):
        with pytest.raises(Unseen):
            make(told("x", whole(answers=answers)))


def test_no_kill_proves_nothing() -> None:
    with pytest.raises(Unseen, match="none was killed"):
        interrupted(told("interrupted", found(kills=[])))
    for key in ("before", "wanted"):
        with pytest.raises(Unseen, match="no version"):
            interrupted(told("interrupted", found(**{key: ""})))
    with pytest.raises(Unseen, match="names no version"):
        returns(told("returns", back(good="")))
