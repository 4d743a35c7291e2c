"""Production changes one deploy at a time."""

from __future__ import annotations

from checks.guarantees import SERIALIZATION, verifies
from fixtures.facts.context import Context
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
