"""The gate with workers: the same outcomes, one look, and no worker that takes its checks with it unnoticed."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.gate import HEALTHY, NIGHT, ROOT, GitHub, Tree, run
from tests.test_gate_checks import fixture
from tests.test_gate_worlds import FULL, disk


@pytest.mark.parametrize("workers", ["2", "4"])
def test_same_verdict_one_look(tree: Tree, github: GitHub, workers: str) -> None:
    """Held, broken, unknown, waived and not applicable, as without workers; GitHub is asked each question once."""
    disk(tree, FULL, "prod-1")
    tree.check('raise Unseen("the pace")', slug="pace-seen", severity="warns")
    tree.check('raise NotApplicable("none here")', slug="none-here")
    tree.check("pytest.skip('later')", slug="skips", severity="warns")
    alone = tree.gate()
    asked = Counter(github.asked)
    github.asked.clear()
    ran = tree.gate("-n", workers)
    assert (
        (ran.code, ran.line)
        == (alone.code, alone.line)
        == (0, "√ deploy on prod-2 (failover: prod-1 fails runner-health/disk-room)")
    ), ran.output
    assert ran.outcomes() == alone.outcomes()
    assert set(ran.outcomes().values()) == {"held", "broken", "unknown", "not applicable"}
    assert Counter(github.asked) == asked
    assert set(asked.values()) == {1}


@pytest.mark.parametrize("recording", [HEALTHY, NIGHT], ids=["healthy", "night"])
def test_replay(tree: Tree, recording: object) -> None:
    """The project's own checks over a recording."""
    alone, ran = (
        run(ROOT, "--profile", "nightly", f"--seen={recording}", *more, reports=tree.reports)
        for more in ((), ("-n", "2"))
    )
    assert (ran.code, ran.line, ran.outcomes()) == (1, alone.line, alone.outcomes())


def test_worker_dies(tree: Tree) -> None:
    """os._exit(0) in a check: the worker is gone, and that is exit 3, not green."""
    tree.check("import os; os._exit(0)")
    ran = tree.gate("-n", "2")
    assert (ran.code, ran.word) == (3, "unknown"), ran.output


def test_worker_dies_in_a_check_that_warns(tree: Tree) -> None:
    """Even where all that blocks was judged by another worker."""
    tree.check("import os; os._exit(0)", severity="warns")
    ran = tree.gate("-n", "2")
    assert (ran.code, ran.word) == (3, "unknown"), ran.output


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("assert False", 1),
        ("pytest.skip()", 1),
        ('raise Unseen("it")', 1),
        ('{}["lock"]', 3),
        ("raise SystemExit(0)", 3),
        ("pytest.exit('bye', returncode=0)", 3),
    ],
)
def test_check_that_does_not_hold(tree: Tree, body: str, code: int) -> None:
    """Across the process border too."""
    tree.check(body)
    ran = tree.gate("-n", "2")
    assert ran.word in ("hold", "unknown"), ran.output
    assert ran.code == code, ran.output


def test_worker_that_ends_in_teardown(tree: Tree) -> None:
    """pytest.exit() with exit code 0 after every check has held."""
    tree.check("assert True", args="given", head=fixture("yield; pytest.exit('bye', returncode=0)"), slug="zz-last")
    ran = tree.gate("-n", "2")
    assert ran.code in (2, 3), ran.output
    assert ran.word == "unknown"


def test_worker_that_collects_less(tree: Tree) -> None:
    """A check that hides from workers was owed all the same."""
    tree.check("assert True", head="import os, pytest\nif os.environ.get('PYTEST_XDIST_WORKER'):\n    __test__ = False")
    ran = tree.gate("-n", "2")
    assert ran.code != 0, ran.output
    assert ran.word in ("hold", "unknown")


def test_every_check_on_every_worker(tree: Tree) -> None:
    """--dist=each: the worst of the answers counts."""
    tree.check("import os; assert os.environ['PYTEST_XDIST_WORKER'] != 'gw1'")
    ran = tree.gate("-n", "2", "--dist=each")
    assert ran.code != 0, ran.output
    assert ran.word != "deploy"


def test_refused_with_workers(tree: Tree) -> None:
    """Before any worker starts."""
    ran = tree.gate("-n", "2", "-k", "reachable")
    assert (ran.code, ran.word) == (4, "unknown")
