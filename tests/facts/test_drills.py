"""When a context lets drills act: its windows, its runners, and the keys that contradict it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fixtures.facts.contextkeys import Source
from fixtures.facts.drills import Drills, Window, contradictions

ALWAYS = Window("mon-sun", "00:00", "24:00")
ALLOWED = Drills(allowed=True, windows=(ALWAYS,), runners=("prod-1",), token=Source(env="DRILL"))
SUNDAY = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "day", "at", "open_"),
    [
        (Window("sun", "02:00", "05:00"), 0, "02:00", True),
        (Window("sun", "02:00", "05:00"), 0, "05:00", False),
        (Window("sun", "02:00", "05:00"), 1, "03:00", False),
        (Window("sat", "22:00", "04:00"), 0, "03:59", True),
        (Window("sat", "22:00", "04:00"), 0, "22:00", False),
        (Window("sat", "22:00", "04:00"), -1, "22:00", True),
        (Window("sat", "22:00", "04:00"), -1, "03:00", False),
        (Window("fri-mon", "10:00", "11:00"), 1, "10:30", True),
        (Window("fri-mon", "10:00", "11:00"), 2, "10:30", False),
        (Window("mon-sun", "00:00", "24:00"), 3, "23:59", True),
    ],
)
def test_a_window_is_open_on_its_days_between_its_times(window: Window, day: int, at: str, open_: bool) -> None:
    hours, minutes = map(int, at.split(":"))
    assert window.holds(SUNDAY + timedelta(days=day, hours=hours, minutes=minutes)) is open_


def test_nothing_said_is_nothing_allowed() -> None:
    assert "drills: {allowed: true" in Drills().closed(SUNDAY)
    assert "set drills.windows" in Drills(allowed=True).closed(SUNDAY)
    assert ALLOWED.closed(SUNDAY) == ""


def test_a_closed_window_says_when_it_opens() -> None:
    closed = replace(ALLOWED, windows=(Window("mon", "02:00", "05:00"),)).closed(SUNDAY)
    assert closed.startswith("it is Sun 00:00Z, and drills.windows has mon 02:00-05:00Z")


def test_a_runner_that_is_not_named_is_left_alone() -> None:
    assert ALLOWED.spares("PROD-1") == ""
    assert "name it in drills.runners" in ALLOWED.spares("prod-2")


@pytest.mark.parametrize(
    ("drills", "key"),
    [
        (replace(ALLOWED, runners=("prod-9",)), "drills.runners[0]"),
        (replace(ALLOWED, lock="Production"), "drills.lock"),
        (replace(ALLOWED, environment="PRODUCTION"), "drills.environment"),
        (replace(ALLOWED, token=None), "drills.token"),
        (replace(ALLOWED, token=Source()), "drills.token"),
        (replace(ALLOWED, takeover=timedelta()), "drills.takeover"),
        (replace(ALLOWED, switch=timedelta(minutes=5)), "drills.switch"),
        (replace(ALLOWED, lease=timedelta(minutes=15)), "drills.lease"),
    ],
)
def test_keys_that_do_not_fit_are_named(drills: Drills, key: str) -> None:
    assert [at for at, _ in contradictions(drills, ("prod-1", "prod-2"), "production", "production")] == [key]


def test_a_context_that_allows_drills_fits_itself() -> None:
    assert contradictions(ALLOWED, ("prod-1", "prod-2"), "production", "production") == []
