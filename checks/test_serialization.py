"""Production changes one deploy at a time."""

from __future__ import annotations

from checks.guarantees import SERIALIZATION, verifies
from fixtures.facts.context import Context
from fixtures.facts.history import History, LocksTaken, Swallowed, overlaps
from fixtures.facts.record import InFlight
from fixtures.facts.workflows import ProductionJob, Workflows


@verifies(
    SERIALIZATION,
    "one-lock",
    severity="blocks",
    when="quick",
    rollback=True,
    waivable=False,
    remedy="add to each job named above: concurrency: {{group: {world.deploy.lock}, cancel-in-progress: false}}",
)
def test_one_lock(world: Context, workflows: Workflows, production_jobs: tuple[ProductionJob, ...]) -> None:
    """Every job that can change production takes the same lock."""
    assert not workflows.faults(), f"GitHub would reject {'; '.join(workflows.faults())}"
    assert not workflows.undeclared(world), "; ".join(workflows.undeclared(world))
    loose = [fault for job in production_jobs if (fault := job.lock_fault(world.deploy.lock))]
    assert not loose, f"not under {world.deploy.lock!r}: {'; '.join(loose)}"


@verifies(
    SERIALIZATION,
    "never-cut",
    severity="blocks",
    when="quick",
    remedy="write cancel-in-progress: false in the blocks named above",
)
def test_never_cut(world: Context, workflows: Workflows) -> None:
    """A production job under way is never cancelled by a newer one."""
    assert not workflows.faults(), f"GitHub would reject {'; '.join(workflows.faults())}"
    assert not workflows.undeclared(world), "; ".join(workflows.undeclared(world))
    assert not workflows.cutters(world), "; ".join(workflows.cutters(world))


@verifies(
    SERIALIZATION,
    "nothing-in-flight",
    severity="blocks",
    when="quick",
    rollback=True,
    waivable=False,
    remedy="gh run list --repo {world.github.repository} --workflow {world.deploy.workflow}",
)
def test_nothing_in_flight(world: Context, in_flight: InFlight) -> None:
    """No other production deploy runs, waits, or holds the lock."""
    assert not in_flight.runs, in_flight


@verifies(
    SERIALIZATION,
    "never-overlapped",
    severity="blocks",
    when="nightly",
    remedy="gh run view RUN --repo {world.github.repository}",
)
def test_never_overlapped(world: Context, history: History) -> None:
    """No two production jobs of the window, of any workflow and attempt, ran at the same time."""
    pairs = overlaps(history.some(), history.now)
    assert not pairs, "; ".join(f"{b.told} began at {b.began:%Y-%m-%d %H:%M:%S}Z while {a.told} ran" for a, b in pairs)


@verifies(
    SERIALIZATION,
    "lock-was-taken",
    severity="blocks",
    when="nightly",
    remedy="gh api repos/{world.github.repository}/actions/runs/RUN/concurrency_groups",
)
def test_lock_was_taken(world: Context, locks_taken: LocksTaken) -> None:
    """Each of the last production runs was under the lock."""
    loose = locks_taken.loose(world.deploy.lock)
    assert not loose, "; ".join(map(repr, loose))


@verifies(
    SERIALIZATION,
    "none-swallowed",
    severity="warns",
    when="nightly",
    remedy="gh workflow run {world.deploy.workflow} --repo {world.github.repository}",
)
def test_none_swallowed(world: Context, swallowed: Swallowed) -> None:
    """No deploy was dropped from the queue, unless one ordered later landed."""
    assert not swallowed.dropped, "; ".join(map(repr, swallowed.dropped))
