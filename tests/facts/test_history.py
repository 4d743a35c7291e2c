"""Production's history against slow, obvious reference implementations, and by hand at the edges."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.facts.context import Retired
from fixtures.facts.history import (
    Cancelled,
    History,
    LocksTaken,
    LockTaken,
    Swallowed,
    Waits,
    Work,
    nearest_rank,
    overlaps,
    proof,
    rate,
    waits,
    without,
)
from fixtures.facts.record import Deployment, Record
from fixtures.facts.registrations import Registrations
from fixtures.facts.seen import NotApplicable, Unseen
from tests.worlds import NOW, registration, runner, world

SECOND = timedelta(seconds=1)


def work(begin: int, end: int | None, **changes: Any) -> Work:
    """A job of a deploy, its times in seconds before now."""
    made = Work(
        run=1,
        attempt=1,
        path="deploy.yml",
        name="deploy",
        ordered=NOW + begin * SECOND,
        began=NOW + begin * SECOND,
        ended=None if end is None else NOW + end * SECOND,
        conclusion="" if end is None else "success",
        runner="prod-1",
        group="production",
        deploys=True,
    )
    return replace(made, **changes)


def history(*works: Work, **changes: Any) -> History:
    return replace(History(NOW, timedelta(days=30), works), **changes)


@st.composite
def jobs(draw: st.DrawFn) -> list[Work]:
    """Jobs of a minute before now, many of them at the same second, some empty, some that still run."""
    spans = draw(st.lists(st.tuples(st.integers(-60, 0), st.one_of(st.none(), st.integers(0, 12))), max_size=12))
    return [
        work(begin, None if length is None else begin + length, run=number)
        for number, (begin, length) in enumerate(spans)
    ]


def seconds_of(job: Work) -> set[int]:
    """Every second in which it ran."""
    first, last = (int((moment - NOW).total_seconds()) for moment in (job.began, job.until(NOW)))
    return set(range(first, last))


@given(jobs())
def test_overlaps_are_the_pairs_that_share_a_second(some: list[Work]) -> None:
    slow = {frozenset({a.run, b.run}) for a in some for b in some if a.run < b.run and seconds_of(a) & seconds_of(b)}
    # An empty interval shares no second with anything; the fast way may name one that lies inside another.
    empty = {job.run for job in some if not seconds_of(job)}
    fast = {frozenset({a.run, b.run}) for a, b in overlaps(some, NOW)}
    assert {pair for pair in fast if not pair & empty} == slow
    assert slow <= fast


def test_one_that_begins_when_the_other_ends_does_not_overlap() -> None:
    assert not overlaps([work(-20, -10), work(-10, -5)], NOW)
    assert len(overlaps([work(-20, -9), work(-10, -5)], NOW)) == 1


def test_one_that_still_runs_overlaps_with_what_began_since() -> None:
    assert len(overlaps([work(-600, None), work(-60, -30)], NOW)) == 1


@given(st.integers(0, 40), st.integers(0, 20), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=6))
def test_without_counts_the_seconds_that_are_left(start: int, length: int, cuts: list[tuple[int, int]]) -> None:
    taken = [(NOW + a * SECOND, NOW + (a + b) * SECOND) for a, b in cuts]
    span = (NOW + start * SECOND, NOW + (start + length) * SECOND)
    slow = [s for s in range(start, start + length) if not any(a <= s < a + b for a, b in cuts)]
    assert without(span, taken) == len(slow) * SECOND


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(1, 100))
def test_the_nearest_rank_is_the_least_value_that_enough_do_not_exceed(values: list[int], percent: int) -> None:
    enough = [v for v in values if sum(other <= v for other in values) * 100 >= percent * len(values)]
    assert nearest_rank(values, percent) == min(enough)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=8), st.booleans())
def test_current_and_last_good_by_walking_back(past: list[tuple[str, bool]], complete: bool) -> None:
    deployments = tuple(
        Deployment(number, sha * 40, NOW - number * SECOND, good) for number, (sha, good) in enumerate(past)
    )
    record = Record("production", deployments, complete)
    current = next((sha for sha, good in past if good), None)
    older = next((sha for sha, good in past if good and sha != current), None)
    assert (record.current.sha[0] if record.current else None) == current
    if older:
        assert record.last_good is not None
        assert record.last_good.sha[0] == older
    elif not complete:
        with pytest.raises(Unseen):
            _ = record.last_good
    elif len({sha for sha, _ in past}) < 2:
        with pytest.raises(NotApplicable):
            _ = record.last_good
    else:
        assert record.last_good is None


LABELS = st.lists(st.sampled_from(["self-hosted", "Linux", "linux", "prod", "PROD", "gpu"]), max_size=4)


@given(st.lists(LABELS, max_size=4), LABELS)
def test_a_job_goes_where_every_label_is_worn_case_aside(worn: list[list[str]], asked: list[str]) -> None:
    some = [
        registration(f"r{n}", n, labels=frozenset(label.lower() for label in labels)) for n, labels in enumerate(worn)
    ]
    slow = [f"r{n}" for n, labels in enumerate(worn) if all(any(a.lower() == b.lower() for b in labels) for a in asked)]
    assert [r.name for r in Registrations(tuple(some)).matching(asked)] == slow


# Who ran it


def test_a_hosted_runner_of_the_same_name_is_a_stranger() -> None:
    hosted = work(-60, -30, group="GitHub Actions")
    assert history(hosted).strangers(world()) == [
        f"run 1 attempt 1 (deploy) on {NOW:%Y-%m-%d} ran on prod-1 of group GitHub Actions"
    ]
    assert not history(work(-60, -30, runner="PROD-1")).strangers(world())


def test_a_retired_runner_was_right_until_its_last_day() -> None:
    gone = work(-86400 * 3, -86400 * 3 + 60, runner="prod-0")
    kept = world(retired=(Retired("prod-0", "INFRA-9", date(2026, 11, 30), "production"),))
    assert history(gone).strangers(world())
    assert not history(gone).strangers(kept)
    assert history(gone).strangers(world(retired=(Retired("prod-0", "INFRA-9", date(2026, 1, 1), "production"),)))


def test_an_approval_that_has_ended_since_does_not_make_history_wrong() -> None:
    ended = runner(approved=replace(runner().approved, until=NOW.date() - timedelta(days=1)))  # type: ignore[type-var]
    then, after = work(-86400 * 5, -86400 * 5 + 60), work(-60, -30)
    assert not history(then).strangers(world(runners=(ended,)))
    assert history(after).strangers(world(runners=(ended,)))


def test_of_nothing_nothing_is_said() -> None:
    empty = history()
    for ask in (
        empty.some,
        lambda: empty.strangers(world()),
        lambda: rate(empty, timedelta(days=7)).percent,
        lambda: waits(empty).p95(1),
        lambda: LocksTaken(()).loose("production"),
        lambda: Swallowed(0).dropped,
    ):
        with pytest.raises(NotApplicable):
            ask()
    assert not proof(empty, world().runners).proven(timedelta(days=7))


# How it went


def test_every_attempt_of_a_deploy_counts() -> None:
    found = rate(
        history(
            work(-500, -400, conclusion="failure"),
            work(-300, -200, attempt=2),
            work(-100, -50, deploys=False, conclusion="failure"),
            work(-86400 * 9, -86400 * 9 + 5, conclusion="failure"),
            work(-20, None),
        ),
        timedelta(days=7),
    )
    assert (found.good, len(found.bad)) == (1, 1)
    assert found.percent == 50
    assert repr(found) == "1 of 2 deploys of the last 7 days succeeded: run 1 attempt 1 (deploy) failure"


def test_the_lock_is_taken_out_of_the_wait() -> None:
    holder = work(-400, -100, run=2)
    waiter = work(-60, -30, queued=NOW - 300 * SECOND, taken=NOW - 60 * SECOND)
    assert waits(history(holder, waiter)) == Waits((40 * SECOND,), 1)


def test_too_few_records_are_unknown() -> None:
    with pytest.raises(Unseen, match="0 recorded, 10 are needed"):
        waits(history(work(-60, -30))).p95(10)


def test_a_failed_job_proves_no_standby() -> None:
    failed = work(-60, -30, runner="prod-2", conclusion="failure")
    good = work(-86400 * 2, -86400 * 2 + 60, runner="prod-2")
    found = proof(history(failed, good), world().runners)
    assert found.proven(timedelta(days=7))
    assert not found.proven(timedelta(days=1))
    assert repr(found) == "prod-2 last finished a production job 1 d 23 h ago"


def test_a_loose_run_is_said_before_an_unseen_one() -> None:
    unseen = LockTaken(1, "d.yml", (), fault="GitHub did not say")
    loose = LockTaken(2, "d.yml", ("other",))
    held = LockTaken(3, "d.yml", ("x", "PRODUCTION"))
    assert LocksTaken((unseen, loose, held)).loose("production") == [loose]
    with pytest.raises(Unseen, match="which lock run 1 took"):
        LocksTaken((unseen, held)).loose("production")
    assert not LocksTaken((held,)).loose("production")
    assert repr(loose) == "run 2 of d.yml took other"


@pytest.mark.parametrize(
    ("because", "dropped"),
    [
        (("Canceling since a higher priority waiting request for 'production' exists",), True),
        (("Canceling since a deadlock was detected for concurrency group: 'x'",), True),
        (("The run was canceled by @somebody.",), False),
        ((), True),
        (None, True),
    ],
)
def test_what_counts_as_dropped(because: tuple[str, ...] | None, dropped: bool) -> None:
    assert Cancelled(1, "d.yml", NOW, because).dropped == dropped
