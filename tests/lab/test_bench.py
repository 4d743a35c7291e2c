"""What the benchmark says of what it measured. The measuring itself is `make bench`."""

from __future__ import annotations

import ast
import os
from dataclasses import replace

import pytest

from lab import bench
from lab.bench import APART, BARE, CONTROL, GATE, PARAMIKO, Goal, Row
from lab.world import Lab


def row(hosts: int, delay: float, gate: float, bare: float, control: float, paramiko: float) -> Row:
    took = {GATE: [gate, gate, gate * 9], BARE: [bare], CONTROL: [control], PARAMIKO: [paramiko]}
    return Row(hosts, delay, took, {GATE: (hosts, hosts), PARAMIKO: (hosts, 83 * hosts)}, {GATE: [0.5]}, {GATE: [0.25]})


ROWS = [
    row(1, 0, 0.6, 0.25, 3, 6),
    row(10, 0, 1.6, 0.25, 30, 60),
    row(1, 40, 1.0, 0.75, 12, 19),
    row(10, 40, 2.0, 0.75, 110, 50),
]


def test_the_goals_are_of_the_medians_at_40_ms() -> None:
    found = {goal.text: (round(goal.value, 2), goal.met) for goal in bench.goals(ROWS)}
    assert found == {
        "1 host: gate / ssh host true": (1.33, True),
        "1 host: testinfra, paramiko / gate": (19.0, True),
        "10 hosts / 1 host, gate": (2.0, True),
        "10 hosts: testinfra, paramiko / gate": (25.0, False),
    }
    assert bench.goals(ROWS[:2]) == []


def test_hosts_of_their_own_are_a_goal_beside_it() -> None:
    apart = replace(ROWS[3], took=ROWS[3].took | {APART: [1.5]}, apart=0.3)
    found = {goal.text: (round(goal.value, 2), goal.met) for goal in bench.goals([*ROWS[:3], apart])}
    assert found["the same, hosts of their own"] == (1.5, True)
    assert "takes the 0.30 s that this took, the gate took 1.50 s" in bench.machines(apart)


def test_what_was_not_measured_meets_no_goal() -> None:
    assert not Goal("x", float("nan"), most=2).met
    assert not Goal("x", float("nan"), least=2).met


def test_the_report_says_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "ssh_version", lambda: "OpenSSH_9.9")
    text = bench.report(ROWS, Lab("nspawn"), (1.0, 1.0, 1.0))
    assert "| 1 | 40 ms | 1.00 s (3x) | 0.75 s (1x) | 12.00 s (1x) | 19.00 s (1x) | 1.33 | 19.00 | 12.00 |" in text
    assert "| 10 hosts: testinfra, paramiko / gate | at least 30 | 25.00 | NOT MET |" in text
    assert "| 1 | gate | 1 | 1 | 10 | 0.50 s | 0.25 s |" in text
    assert f"in less than {0.75 / (os.cpu_count() or 1):.2f} s; it took 1.00 s." in text
    assert "| 10 | testinfra, paramiko | 10 | 830 | -250 | not measured | not measured |" in text
    assert "| 1 | ssh host true | not counted | not counted | 12 | not measured | not measured |" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {10, 5, 8}


def test_round_trips_need_two_delays() -> None:
    assert bench.trips(ROWS[:2], 1, GATE) == "not measured"


def test_the_plain_questions_stand_apart_from_the_suite() -> None:
    """They are run away from this checkout, so nothing of it may be needed."""
    for node in ast.walk(ast.parse(bench.PLAIN.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in ("fixtures", "checks", "reports", "lab")
