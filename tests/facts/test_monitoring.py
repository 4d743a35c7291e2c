"""Targets, alerts, routing and the nightly as values: what is fresh, what is late, who would be told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fixtures.facts.monitoring import Alert, Alerts, Nightly, Scrape, Scrapes, late
from fixtures.facts.routes import GROUP_WAIT, Matcher, Route, Routes, Silence
from fixtures.facts.seen import Unseen
from tests.worlds import NOW, runner

MINUTE = timedelta(minutes=1)
FIVE = timedelta(minutes=5)
PAGE = {"alertname": "RunnerOffline", "severity": "page"}


def scrape(instance: str = "prod-1:9100", **changes: object) -> Scrape:
    made = Scrape("node", instance, True, "", NOW - timedelta(seconds=10), timedelta(seconds=15))
    return replace(made, **changes)  # type: ignore[arg-type]


def scrapes(*targets: Scrape, **changes: object) -> Scrapes:
    made = Scrapes(NOW, "node", "world", targets or (scrape(), scrape("prod-2:9100")), (NOW - timedelta(hours=3),))
    return replace(made, **changes)  # type: ignore[arg-type]


RUNNERS = (runner("prod-1"), runner("prod-2", "secondary"))


@pytest.mark.parametrize("instance", ["prod-1:9100", "prod-1", "PROD-1:9", "10.0.0.1:9100", "[prod-1]:9100"])
def test_a_target_is_a_runners_by_host_or_name(instance: str) -> None:
    assert scrape(instance).is_of(runner("prod-1", host="10.0.0.1"))


def test_a_declared_instance_is_the_only_one() -> None:
    mine = runner("prod-1", instance="node-7")
    assert scrape("node-7").is_of(mine) and not scrape("prod-1:9100").is_of(mine)
    assert not scrape("prod-10:9100").is_of(runner("prod-1")) and not scrape("prod-1:http").is_of(runner("prod-1"))


def test_fresh_targets_miss_nothing() -> None:
    assert scrapes().missing(RUNNERS, FIVE) == []


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        ((scrape(),), "no target for prod-2"),
        ((scrape(healthy=False, error="connection refused"), scrape("prod-2")), "is down (connection refused)"),
        ((scrape(healthy=False), scrape("prod-2")), "does not say why"),
        ((scrape(last=NOW - FIVE - MINUTE), scrape("prod-2")), "last scraped"),
    ],
)
def test_what_is_not_fresh_is_said(targets: tuple[Scrape, ...], says: str) -> None:
    (found,) = scrapes(*targets).missing(RUNNERS, FIVE)
    assert says in found


def test_own_metrics_age() -> None:
    assert scrapes().stale(timedelta(hours=26)) == ""
    assert "no runner_preflight_last_run" in scrapes(runs=()).stale(timedelta(hours=26))
    assert "is 1 d 3 h old" in scrapes(runs=(NOW - timedelta(hours=27),)).stale(timedelta(hours=26))
    assert scrapes(runs=(NOW - timedelta(days=9), NOW)).stale(timedelta(hours=26)) == "", "the newest counts"


def test_an_interval_of_no_targets_is_unknown() -> None:
    with pytest.raises(Unseen, match="how often"):
        _ = Scrapes(NOW, "node", "world", (), ()).every


def alert(name: str = "RunnerOffline", **changes: object) -> Alert:
    made = Alert(name, "ok", "", 3 * MINUTE, timedelta(seconds=15), NOW - timedelta(seconds=5), (("severity", "page"),))
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"health": "err", "error": "many-to-many matching not allowed"}, "is err: many-to-many"),
        ({"health": "unknown"}, "is unknown"),
        ({"evaluated": NOW - 2 * MINUTE}, "last evaluated 2 min ago"),
    ],
)
def test_an_alert_that_is_not_evaluated_is_ill(changes: dict[str, Any], says: str) -> None:
    (found,) = Alerts(NOW, (alert(**changes), alert("Other")), ()).ill()
    assert says in found


def test_the_whole_way_counts_and_not_a_part_of_it() -> None:
    alerts = Alerts(NOW, (alert(waits=4 * MINUTE), alert("Slow", waits=60 * MINUTE)), ())
    ways = {"RunnerOffline": timedelta(seconds=30), "Slow": timedelta()}
    assert late(alerts, ("RunnerOffline",), timedelta(seconds=15), ways, FIVE) == []
    (found,) = late(alerts, ("RunnerOffline",), timedelta(seconds=16), ways, FIVE)
    assert "scrape 16 s + for 4 min + evaluation 15 s + grouping 30 s" in found


def matcher(text: str) -> Matcher:
    label, value = text.split("=")
    return Matcher(label, "=", value)


ROOT = Route("default", GROUP_WAIT)
TO_PAGER = Route("pager", MINUTE, (matcher("severity=page"),))


def ends(root: Route, labels: dict[str, str] | None = None) -> set[str]:
    return {name for name, _ in root.ends(labels or PAGE)}


def test_the_first_route_that_matches_takes_it() -> None:
    later = Route("later", GROUP_WAIT, (matcher("severity=page"),))
    assert ends(replace(ROOT, children=(TO_PAGER, later))) == {"pager"}
    assert ends(replace(ROOT, children=(replace(TO_PAGER, goes_on=True), later))) == {"pager", "later"}
    assert ends(replace(ROOT, children=(replace(TO_PAGER, goes_on=True),))) == {"pager"}
    assert ends(ROOT) == {"default"}


def test_a_route_below_a_route() -> None:
    deep = Route("night", GROUP_WAIT, (matcher("severity=page"),))
    assert ends(replace(ROOT, children=(replace(TO_PAGER, children=(deep,)),))) == {"night"}
    other = Route("no", GROUP_WAIT, (matcher("severity=ticket"),))
    assert ends(replace(ROOT, children=(replace(TO_PAGER, children=(other,)),))) == {"pager"}


def test_a_label_that_nobody_knows_leaves_both_ways_open() -> None:
    maybe = Route("team", GROUP_WAIT, (matcher("team=platform"),))
    assert ends(replace(ROOT, children=(maybe,))) == {"team", "default"}
    assert ends(replace(ROOT, children=(maybe, TO_PAGER))) == {"team", "pager"}
    both = Route("x", GROUP_WAIT, (matcher("team=platform"), matcher("severity=ticket")))
    assert ends(replace(ROOT, children=(both,))) == {"default"}, "one that cannot match decides"


@pytest.mark.parametrize(
    ("op", "value", "says"),
    [("=", "page", "yes"), ("!=", "page", "no"), ("=~", "pa.*", "yes"), ("=~", "pa", "no"), ("!~", "tick.*", "yes")],
)
def test_matchers_are_alertmanagers(op: str, value: str, says: str) -> None:
    assert Matcher("severity", op, value).of(PAGE) == says  # type: ignore[arg-type]


def test_a_pattern_that_cannot_be_read_is_unknown() -> None:
    with pytest.raises(Unseen, match="cannot be read here"):
        Matcher("severity", "=~", "(").of(PAGE)


LISTENING = (("default", ("email",)), ("pager", ("webhook", "pagerduty")))


def test_somebody_listens_or_it_is_said_where_nobody_does() -> None:
    routes = Routes(replace(ROOT, children=(TO_PAGER,)), LISTENING, (), 1)
    assert routes.deaf("RunnerOffline", {"severity": "page"}) == []
    assert "webhook and pagerduty" in repr(routes)
    for receivers in ((("default", ("email",)), ("pager", ())), (("default", ("email",)),)):
        (found,) = replace(routes, receivers=receivers).deaf("RunnerOffline", {"severity": "page"})
        assert "receiver 'pager', where nobody listens" in found


def test_a_silence_counts_where_it_surely_covers_the_alert() -> None:
    def muted(*matchers: Matcher) -> list[str]:
        silence = Silence("someone", NOW + timedelta(days=1), matchers)
        return Routes(ROOT, LISTENING, (silence,), 1).deaf("RunnerOffline", {"severity": "page"})

    assert "kept quiet by a silence of someone" in muted(Matcher("alertname", "=~", "Runner.*"))[0]
    assert muted(matcher("alertname=Other")) == []
    assert muted(matcher("alertname=RunnerOffline"), matcher("instance=prod-1:9100")) == [], "one host's is no deafness"


def test_the_longest_grouping_counts() -> None:
    routes = Routes(replace(ROOT, children=(replace(TO_PAGER, goes_on=True), Route("x", 2 * MINUTE))), LISTENING, (), 1)
    assert routes.grouping("RunnerOffline", {"severity": "page"}) == 2 * MINUTE


def test_the_nightly_lives_by_its_last_success() -> None:
    day = timedelta(hours=26)
    good = Nightly(NOW, "n.yml", "active", (NOW - timedelta(hours=3),), "run 7 ended")
    assert good.alive(day) and "3 h ago" in repr(good)
    assert not replace(good, succeeded=(NOW - timedelta(hours=27),)).alive(day)
    assert not replace(good, succeeded=()).alive(day)
    disabled = replace(good, state="disabled_inactivity")
    assert not disabled.alive(day) and "disabled_inactivity" in repr(disabled)
    assert "knows no workflow" in repr(replace(good, state=""))
