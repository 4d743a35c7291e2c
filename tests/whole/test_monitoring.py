"""The monitoring against a real Prometheus, Alertmanager and node_exporter: metrics arrive, a dead runner is told of."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.facts.context import Monitoring
from fixtures.monitor import Monitor
from fixtures.secrets import Redactor
from lab import monitor, world
from lab.world import Lab
from tests.test_monitoring_files import ALERTS, QUERIES
from tests.whole.conftest import Checkout
from tests.whole.stack import PROGRAMS, Receiver, Stack, export, until

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.xdist_group("lab")]
NOTICED = 300
"""Seconds: the promise of contexts/pace.md, and limits.noticed."""
REAL = ".lab/real.yml"


def lab_of(checkout: Checkout) -> Lab:
    found = world.load(checkout.root)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def stack(lab: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All of it up, and a context of the lab that names it; the gate's metrics of both profiles are written once."""
    missing = [package for command, package in PROGRAMS.items() if shutil.which(command) is None]
    if missing:
        pytest.skip(f"needs the real ones: apt-get install {' '.join(missing)}")
    here = lab_of(lab)
    if here.engine != "nspawn":
        pytest.skip(f"needs hosts with a systemd of their own; this lab is {here.engine}")
    made = Stack(tmp_path_factory.mktemp("stack"), Receiver())
    try:
        export(here)
        made.start(here)
        text = lab.root.joinpath(".lab/context.yml").read_text()
        text = re.sub(r"prometheus: .*", f"prometheus: {made.url('prometheus')}", text)
        lab.root.joinpath(REAL).write_text(
            re.sub(r"alertmanager: .*", f"alertmanager: {made.url('alertmanager')}", text)
        )
        for profile in ("nightly", "quick"):
            collect(lab, made, profile)
        until(lambda: made.query('up{job="node"} == 1')[1:], "both runner hosts to be scraped", 60)
        until(lambda: made.query("runner_preflight_deploys_last_hour"), "the gate's metrics to be scraped", 60)
        yield made
    finally:
        made.stop()


def collect(lab: Checkout, stack: Stack, profile: str) -> None:
    lab.run(["make", "metrics", f"CONTEXT={REAL}", f"PROFILE={profile}", f"INTO={stack.textfiles}"])


def judged(lab: Checkout) -> dict[str, dict[str, Any]]:
    """What the gate says of the guarantee, by check."""
    ran = lab.gate("-k", "monitoring", profile="", context=REAL)
    return {check["check"]: check for check in ran.verdict["checks"] if check["guarantee"] == "monitoring"}


def test_every_query_of_the_dashboard_has_data(stack: Stack) -> None:
    def empty() -> list[str]:
        return [q for q in QUERIES if not stack.query(q.replace("$context", ".+"))]

    # A sum over the hosts needs the second scrape of them.
    until(lambda: not empty(), "data for every query", 60, empty)


def test_the_checks_hold_before_the_real_ones(lab: Checkout, stack: Stack) -> None:
    until(lambda: {c["outcome"] for c in judged(lab).values()} == {"held"}, "the checks to hold", 120)


def test_no_alert_fires_in_a_healthy_lab(stack: Stack) -> None:
    firing = {row["metric"]["alertname"] for row in stack.query('ALERTS{alertstate="firing"}')}
    assert firing == set() and stack.receiver.told == []


def shape(value: Any) -> Any:
    """What a value is made of: the keys of objects, the first row of lists, the kind of everything else."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize(
    "path",
    [
        "prometheus/api/v1/targets?state=active&scrapePool=node",
        "prometheus/api/v1/rules?type=alert",
        "prometheus/api/v1/alertmanagers",
        "alertmanager/api/v2/status",
    ],
)
def test_the_labs_stand_in_answers_as_the_real_ones(lab: Checkout, stack: Stack, path: str) -> None:
    mine = monitor.address(lab_of(lab))
    both = [
        Monitor(Monitoring(prometheus, alertmanager), Redactor(), time.monotonic() + 30).answer(path)
        for prometheus, alertmanager in (
            (f"{mine}/prometheus", f"{mine}/alertmanager"),
            (stack.url("prometheus"), stack.url("alertmanager")),
        )
    ]
    assert [answer.failure for answer in both] == ["", ""]
    told, real = (shape(answer.body) for answer in both)
    assert told == real
    if "rules" in path:
        names = [sorted(row["name"] for row in answer.body) for answer in both]
        assert names[0] == names[1] == sorted(rule["alert"] for rule in ALERTS)


def test_a_rule_that_is_gone_is_seen(lab: Checkout, stack: Stack) -> None:
    file = stack.folder / "alerts.yml"
    whole = file.read_text()
    file.write_text(whole.replace("- alert: RunnerOffline\n", "- alert: Renamed\n"))
    try:
        stack.reload()
        until(lambda: stack.query("vector(1)"), "Prometheus to answer", 30)
        check = judged(lab)["monitoring/rules-loaded"]
        assert check["outcome"] == "broken" and "no alert RunnerOffline" in check["saw"]
    finally:
        file.write_text(whole)
        stack.reload()


def test_a_dead_runner_is_told_of_in_five_minutes(lab: Checkout, stack: Stack) -> None:
    """From the fault in the lab to the receiver: exporter, Prometheus, rule, Alertmanager, webhook."""
    lab.lab("break", "service-stopped")
    try:
        collect(lab, stack, "quick")
        told = until(lambda: stack.receiver.heard("RunnerOffline"), "RunnerOffline at the receiver", NOTICED)
        assert {labels["instance"] for labels in told} == {"prod-runner-01"}
        at_github = until(
            lambda: stack.receiver.heard("RunnerOfflineAtGitHub"), "GitHub's word at the receiver", NOTICED
        )
        assert {labels["runner"] for labels in at_github} == {"prod-runner-01"}
    finally:
        lab.lab("heal")


def test_what_was_planted_is_not_in_what_prometheus_holds(lab: Checkout, stack: Stack) -> None:
    served = "".join(Path(path).read_text() for path in stack.textfiles.glob("*.prom"))
    assert lab.token not in served and lab.token not in json.dumps(stack.query('{__name__=~"runner_preflight_.+"}'))
