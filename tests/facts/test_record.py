"""What production runs and could return to, and how long deploys take."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.facts.record import Durations, Flight, InFlight
from fixtures.facts.seen import NotApplicable, Unseen
from tests.worlds import NEW, NOW, OLD, artifact, artifacts, deployment, record

WINDOW = timedelta(days=30)


def naive_p95(seconds: list[int]) -> int:
    """The smallest value that at least 95 % of all are not above."""
    return min(x for x in seconds if sum(y <= x for y in seconds) * 100 >= 95 * len(seconds))


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=250))
@settings(max_examples=300, deadline=None)
def test_p95_is_by_nearest_rank(seconds: list[int]) -> None:
    found = Durations(tuple(timedelta(seconds=s) for s in seconds), WINDOW)
    assert found.p95(1).total_seconds() == naive_p95(seconds)
    if len(seconds) < 20:
        assert found.p95(1) == max(found.took)


@pytest.mark.parametrize("n", [20, 40, 60, 100, 200, 1000])
def test_p95_where_the_rank_is_whole(n: int) -> None:
    """0.95 * n is not always n * 95 / 100 in floating point."""
    found = Durations(tuple(timedelta(seconds=s) for s in range(1, n + 1)), WINDOW)
    assert found.p95(1).total_seconds() == math.ceil(n * 95 / 100)


def test_too_few_deploys_prove_nothing() -> None:
    for took, least in (((), 0), ((), 10), ((timedelta(seconds=1),) * 9, 10)):
        with pytest.raises(Unseen, match=f"how long deploys take: {len(took)} in the last 30 days"):
            Durations(took, WINDOW).p95(least)
    assert Durations((timedelta(seconds=1),) * 10, WINDOW).p95(10) == timedelta(seconds=1)


def test_durations_are_told() -> None:
    assert repr(Durations((), WINDOW)) == "no deploy finished in the last 30 days"
    assert repr(Durations((timedelta(minutes=3), timedelta(minutes=4)), WINDOW)).endswith("p95 4 min, longest 4 min")


def test_the_last_good_release_is_another_than_the_current_one() -> None:
    good = (deployment(4, NEW), deployment(3, NEW), deployment(2, "c" * 40, False), deployment(1, OLD))
    found = record(deployments=good)
    assert (found.current, found.last_good) == (good[0], good[3])


def test_a_whole_record_of_one_release_has_nothing_to_return_to() -> None:
    for deployments in ((), (deployment(1, OLD),), (deployment(2, OLD), deployment(1, OLD, False))):
        with pytest.raises(NotApplicable, match="fewer than two releases"):
            _ = record(deployments=deployments, complete=True).last_good


def test_a_record_that_goes_on_is_not_whole() -> None:
    for deployments in ((), (deployment(1, OLD),)):
        with pytest.raises(Unseen, match="the last good release: none among the newest"):
            _ = record(deployments=deployments).last_good


def test_two_releases_of_which_one_succeeded() -> None:
    failed = record(deployments=(deployment(2, NEW), deployment(1, OLD, False)), complete=True)
    assert failed.last_good is None
    assert failed.current == deployment(2, NEW)
    never = record(deployments=(deployment(2, NEW, False), deployment(1, OLD, False)), complete=True)
    assert (never.current, never.last_good) == (None, None)
    assert "nothing that ever succeeded" in repr(never)


def test_the_artifact_that_is_kept_is_the_newest_unexpired() -> None:
    assert artifacts().kept is None
    assert repr(artifacts()) == f"no artifact is called widgets-{OLD}"
    older = artifact(digest="older")
    assert artifacts(artifact(expired=True), older).kept == older
    assert "expired" in repr(artifact(expired=True))
    assert "digest unknown" in repr(artifact(digest=None))


def test_flights_are_told_with_their_age() -> None:
    found = InFlight("production", NOW, (Flight(7, "Deploy", "waiting", NOW - timedelta(hours=2, minutes=3), True),))
    assert repr(found) == "run 7 (Deploy) is waiting for 2 h 3 min, holds the lock"
    assert repr(InFlight("production", NOW, ())) == "nothing runs, waits, or holds the lock production"
    assert "is pending" in repr(InFlight("x", NOW, (Flight(7, "Deploy", "pending", None, False),)))
    assert "for 0 s" in Flight(7, "x", "queued", NOW + timedelta(minutes=1), False).told(NOW)
