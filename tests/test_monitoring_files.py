"""contexts/monitoring/ as its own tools read it, and as the rest of this project speaks of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from fixtures.facts.monitoring import SHIPPED
from reports import metrics
from tests.checks.test_every_check import CHECKS
from tests.worlds import ROOT

PLACE = ROOT / "contexts" / "monitoring"
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((PLACE / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARD = json.loads((PLACE / "dashboard.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.mark.parametrize(
    "command",
    [
        "promtool check rules alerts.yml",
        "promtool test rules alerts_test.yml",
        "promtool check config prometheus.yml",
        "amtool check-config alertmanager.yml",
    ],
)
def test_its_own_tool_takes_it(command: str) -> None:
    tool, *rest = command.split()
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool} here: apt-get install prometheus prometheus-alertmanager")
    done = subprocess.run([tool, *rest], cwd=PLACE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_units_are_what_systemd_takes() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here: apt-get install systemd")
    units = [str(path) for path in sorted(PLACE.glob("*.service")) + sorted(PLACE.glob("*.timer"))]
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "runner-preflight" in line and "is not executable" not in line]
    assert not ours


def test_what_a_context_must_have_loaded_is_what_is_shipped() -> None:
    assert sorted(rule["alert"] for rule in ALERTS) == sorted(SHIPPED)


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = [
        case
        for test in yaml.safe_load((PLACE / "alerts_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    for name in SHIPPED:
        mine = [bool(case.get("exp_alerts")) for case in cases if case["alertname"] == name]
        assert True in mine and False in mine, name


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_the_way_of_an_alert_leads_to_a_heading(rule: dict[str, Any]) -> None:
    page, _, heading = rule["annotations"]["runbook"].partition("#")
    text = (ROOT / page).read_text()
    assert not heading or f"\n## {heading}\n" in text
    assert rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"].endswith(".")


@pytest.mark.parametrize("expression", [*QUERIES, *(rule["expr"] for rule in ALERTS)])
def test_only_metrics_that_there_are(expression: str) -> None:
    source = (ROOT / "reports" / "metrics.py").read_text()
    for name in re.findall(r"runner_preflight_\w+", expression):
        assert re.sub(r"_(bucket|sum|count)$", "", name) in source, name
    for check in re.findall(r'check="([^"]+)"', expression):
        assert check in CHECKS, f"{check} is no check"
    words = re.findall(r'(?:outcome|verdict|conclusion)="([^"]+)"', expression)
    assert set(words) <= {"deploy", "success", "failure"} and "deploy" in metrics.SAID


def test_the_dashboard_stands_on_its_own() -> None:
    assert DASHBOARD["uid"] == "runner-preflight"
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"])))
    assert used <= names, "a panel asks for a variable that is not there"
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    grid = [(p["gridPos"]["x"], p["gridPos"]["y"], p["gridPos"]["w"], p["gridPos"]["h"]) for p in DASHBOARD["panels"]]
    cells = [(cx, cy) for x, y, w, h in grid for cx in range(x, x + w) for cy in range(y, y + h)]
    assert len(cells) == len(set(cells)) and all(x + w <= 24 for x, _, w, _ in grid), "panels overlap"
