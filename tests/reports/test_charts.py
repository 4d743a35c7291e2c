"""The drawings as numbers: what is over the limit, who overlapped, and which nights were bad."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fixtures.facts.history import History, Work
from fixtures.facts.limits import Limits
from reports.charts import HEIGHT, LEFT, RIGHT, WIDTH, Charts, Plot, charts
from reports.history import NOTHING, Trends
from tests.facts.test_history import history, work
from tests.reports.test_history import past
from tests.worlds import NOW

MINUTE = 60
LIMITS = Limits()


def deploy(day: int, minutes: float, **changes: Any) -> Work:
    began = -day * 86400
    return work(began, int(began + minutes * MINUTE), **changes)


def drawn(*works: Work, trends: Trends = NOTHING) -> Charts:
    return charts(history(*works), LIMITS, trends)


def durations(*works: Work) -> Plot:
    return next(p for p in drawn(*works).plots if p.name == "durations")


def test_a_deploy_over_the_limit_is_marked_and_stands_above_its_line() -> None:
    plot = durations(deploy(3, 4), deploy(2, 12), deploy(1, 10))
    assert [dot.style for dot in plot.dots] == ["within", "over", "within"]
    limit = next(tick.at for tick, style in plot.levels if style == "limit")
    assert plot.dots[1].y < limit < plot.dots[0].y
    assert plot.dots[2].y == limit
    assert "p95 12 min, longest 12 min, limit 10 min, 1 over it" in plot.about


def test_dots_go_by_time_and_stay_in_the_picture() -> None:
    plot = durations(deploy(9, 4), deploy(5, 700), deploy(1, 0.1))
    assert [dot.x for dot in plot.dots] == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]
    assert all(0 < dot.y < HEIGHT for dot in plot.dots)
    assert 2 <= len(plot.up) <= 8


def test_one_deploy_is_drawn_too() -> None:
    assert len(durations(deploy(1, 4)).dots) == 1


def test_what_failed_or_still_runs_is_no_duration() -> None:
    works = deploy(3, 4), deploy(2, 1, conclusion="failure"), work(-60, None)
    assert len(durations(*works).dots) == 1


def test_waits_are_drawn_where_the_record_tells_them() -> None:
    queued = NOW - timedelta(days=2, minutes=7)
    late = deploy(2, 4, queued=queued, taken=NOW - timedelta(days=2))
    plot = next(p for p in drawn(late, deploy(1, 4)).plots if p.name == "waits")
    assert [dot.style for dot in plot.dots] == ["over"]
    assert "7 min" in plot.dots[0].title


def test_jobs_that_overlap_are_told_apart_from_good_and_bad_ones() -> None:
    timeline = drawn(
        deploy(5, 60), deploy(5, 30, runner="prod-2", run=2), deploy(3, 4), deploy(1, 4, conclusion="failure")
    ).timeline
    assert timeline is not None
    assert [bar.style for bar in timeline.bars] == ["overlap", "overlap", "good", "bad"]
    assert [row.text for row in timeline.rows] == ["prod-1", "prod-2"]
    assert timeline.bars[1].y > timeline.bars[0].y
    assert "2 of them overlap" in timeline.about
    assert [row[-1] for row in timeline.table] == ["", "", "overlaps another", "overlaps another"], "the newest first"
    assert all(timeline.left <= bar.x <= bar.x + bar.width <= timeline.right + 0.1 for bar in timeline.bars)


def test_nights_show_the_checks_that_did_not_always_hold() -> None:
    both = past("hbh")
    for night, letter in zip(both, "hhh", strict=True):
        night.outcomes["pace/p95"] = letter  # type: ignore[index]
    heat = drawn(trends=Trends({}, (), tuple(both))).heat
    assert heat is not None
    assert [(check, [word for *_, word in cells]) for check, cells in heat.rows] == [
        ("runner-health/disk-room", ["held", "broken", "held"])
    ]
    assert heat.steady == 1
    assert len(heat.nights) == 3


def test_of_two_runners_the_worse_counts() -> None:
    nights = past("h")
    nights[0].outcomes["runner-health/disk-room[prod-2]"] = "u"  # type: ignore[index]
    heat = drawn(trends=Trends({}, (), tuple(nights))).heat
    assert heat is not None
    assert [word for *_, word in heat.rows[0][1]] == ["unknown"]


def test_what_was_not_looked_at_is_not_drawn() -> None:
    assert not charts(None, LIMITS, NOTHING)
    assert not charts(History(NOW, timedelta(days=30), ()), LIMITS, NOTHING)
