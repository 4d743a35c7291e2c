"""Production changes one deploy at a time."""

from __future__ import annotations

from datetime import datetime

from checks.guarantees import SERIALIZATION, verifies
from fixtures.facts import cuts, doors, locks, steps
from fixtures.facts.context import Context
from fixtures.facts.finding import settled, told
from fixtures.facts.history import History, LocksTaken, Swallowed, overlaps
from fixtures.facts.record import InFlight
from fixtures.facts.target import HostLock
from fixtures.facts.turns import Turns
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
    assert not workflows.faults(world), f"GitHub would reject {'; '.join(workflows.faults(world))}"
    assert not workflows.undeclared(world), "; ".join(workflows.undeclared(world))
    loose = settled(locks.loose((job for job in production_jobs if job.deploys), world.deploy.lock))
    assert not loose, told(loose)


@verifies(
    SERIALIZATION,
    "no-way-round",
    severity="blocks",
    when="quick",
    remedy="add to each job named above: concurrency: {{group: {world.deploy.lock}, cancel-in-progress: false}}, or take production's labels from it",
)
def test_no_way_round(world: Context, workflows: Workflows, production_jobs: tuple[ProductionJob, ...]) -> None:
    """No job reaches production, its runners or its secrets without the lock, or past a guard that was skipped."""
    workflows.deploys(world)
    landing = [job for job in production_jobs if not job.deploys]
    found = settled([*locks.loose(landing, world.deploy.lock), *doors.unguarded(production_jobs, world)])
    assert not found, told(found)


@verifies(
    SERIALIZATION,
    "lock-constant",
    severity="blocks",
    when="quick",
    remedy="write in the blocks named above: group: {world.deploy.lock}",
)
def test_lock_constant(world: Context, workflows: Workflows, production_jobs: tuple[ProductionJob, ...]) -> None:
    """The name of the lock cannot vary: by ref, run, actor, matrix, input or caller."""
    workflows.deploys(world)
    found = settled(locks.varying((job for job in production_jobs if job.deploys), world.deploy.lock))
    assert not found, told(found)


@verifies(
    SERIALIZATION,
    "never-cut",
    severity="blocks",
    when="quick",
    remedy="write cancel-in-progress: false in the blocks named above",
)
def test_never_cut(world: Context, workflows: Workflows) -> None:
    """A production job under way is never cancelled by a newer one."""
    assert not workflows.faults(world), f"GitHub would reject {'; '.join(workflows.faults(world))}"
    assert not workflows.undeclared(world), "; ".join(workflows.undeclared(world))
    found = settled(cuts.cutters(workflows, world))
    assert not found, told(found)


@verifies(
    SERIALIZATION,
    "no-deadlock",
    severity="blocks",
    when="quick",
    remedy="keep one of the two blocks named above, the job's",
)
def test_no_deadlock(world: Context, workflows: Workflows) -> None:
    """No job waits for a lock that its own run holds."""
    workflows.deploys(world)
    found = settled(cuts.deadlocks(workflows, world))
    assert not found, told(found)


@verifies(
    SERIALIZATION,
    "recorded",
    severity="blocks",
    when="quick",
    remedy="write in the jobs named above: environment: {world.environment.name}",
)
def test_recorded(world: Context, workflows: Workflows, production_jobs: tuple[ProductionJob, ...]) -> None:
    """No production job hides from the record of deployments."""
    workflows.deploys(world)
    found = settled(locks.hidden(production_jobs, world))
    assert not found, told(found)


@verifies(
    SERIALIZATION,
    "bounded",
    severity="blocks",
    when="quick",
    remedy="write a timeout-minutes in the jobs named above",
)
def test_bounded(world: Context, workflows: Workflows, production_jobs: tuple[ProductionJob, ...]) -> None:
    """Every production job has a timeout within the limit, so that a hung one gives the lock back."""
    workflows.deploys(world)
    found = settled(locks.unbounded(production_jobs, world))
    assert not found, told(found)


@verifies(
    SERIALIZATION,
    "gate-fresh",
    severity="blocks",
    when="quick",
    remedy="make it the first step of job {world.deploy.job} in {world.deploy.workflow}: python -m fixtures.fresh VERDICT.json",
)
def test_gate_fresh(world: Context, workflows: Workflows) -> None:
    """The deploy job's first step requires a verdict of this run and attempt, not expired, for the runner it is on."""
    found = settled(fault for job in workflows.deploys(world) for fault in steps.stale(job, world))
    assert not found, told(found)


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


@verifies(
    SERIALIZATION,
    "host-lock",
    severity="blocks",
    when="quick",
    remedy="see who deploys by the name above; a lock that a dead deploy left is removed by hand, on the target",
)
def test_host_lock(world: Context, host_lock: HostLock | None, now: datetime) -> None:
    """The target's own deploy lock is free, or no other repository can change this production."""
    if host_lock is None:
        others = ", ".join(world.admits.repositories)
        assert world.deploy.only_repository, (
            "GitHub's lock is per repository; declare the target's own (deploy.host_lock), or deploy.only_repository"
        )
        assert not others, f"deploy.only_repository is declared, and admits.repositories lets {others} in"
        return
    assert not host_lock.held, host_lock.told(now)


@verifies(
    SERIALIZATION,
    "waits-its-turn",
    severity="blocks",
    when="drill",
    remedy="gh api repos/{world.github.repository}/actions/concurrency_groups/{turns.lock}",
)
def test_waits_its_turn(world: Context, turns: Turns) -> None:
    """Of canary deploys that ask for the lock at once one runs, the other waits and then runs; those that come later follow the declared queue."""
    faults = turns.faults()
    assert not faults, f"the lock {turns.lock}: {'; '.join(faults)}\n{turns.story.told}"
