"""The proof compares what was broken with what a fault names, and nothing less."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lab.prove import difference, matrix
from lab.suite import Said

HEALTH = "runner-health/online[prod-runner-01]"


def said(
    broken: Iterable[str] = (),
    unknown: Iterable[str] = (),
    crashed: Iterable[str] = (),
    word: str = "hold",
    runner: str = "",
) -> Said:
    checks = frozenset({"runner-health/online", "failover/standby-ready"})
    return Said(
        1, word, f"the line of {word}", runner, frozenset(broken), frozenset(unknown), frozenset(crashed), checks
    )


def test_exactly_what_is_named_is_right() -> None:
    assert difference(said({HEALTH}), frozenset({HEALTH}), frozenset()) == []


@pytest.mark.parametrize(
    ("got", "says"),
    [
        (said(), "not broken: "),
        (said({HEALTH, "failover/standby-ready"}), "broken too: failover/standby-ready"),
        (said({"runner-health/online[prod-runner-02]"}), "not broken: "),
        (said(set(), {HEALTH}), "unknown too: "),
        (said({HEALTH}, set(), {"pace/p95"}), "crashed too: pace/p95"),
        (said({HEALTH}, word="deploy", runner="prod-runner-01"), "and yet: "),
    ],
)
def test_everything_else_is_said(got: Said, says: str) -> None:
    assert any(line.startswith(says) for line in difference(got, frozenset({HEALTH}), frozenset()))


def test_the_matrix_has_a_row_a_fault_and_a_column_a_check() -> None:
    rows = matrix({"(healthy)": said(), "x": said({HEALTH}, {"failover/standby-ready"})}, "nspawn").splitlines()
    assert "| (healthy) |   |   |" in rows and "| x | ? | × |" in rows
