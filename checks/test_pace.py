"""A deploy takes ten minutes; a broken runner is noticed in five."""

from __future__ import annotations

from checks.guarantees import PACE, verifies
from fixtures.facts.context import Context
from fixtures.facts.history import Rate, Waits
from fixtures.facts.limits import Limits
from fixtures.facts.noticed import Noticed
from fixtures.facts.queue import Queue
from fixtures.facts.record import Durations
from fixtures.facts.watched import Watched


@verifies(
    PACE,
    "p95",
    severity="warns",
    when="nightly",
    remedy="gh run list --repo {world.github.repository} --workflow {world.deploy.workflow} --limit 30",
)
def test_p95(world: Context, durations: Durations, limits: Limits) -> None:
    """The 95th percentile of production deploys is within the limit."""
    assert durations.p95(limits.deploy_samples) <= limits.deploy_p95, durations


@verifies(
    PACE,
    "success-rate",
    severity="warns",
    when="nightly",
    remedy="gh run list --repo {world.github.repository} --workflow {world.deploy.workflow} --status failure",
)
def test_success_rate(world: Context, deploy_rate: Rate, limits: Limits) -> None:
    """Of the deploys of the last days, enough succeeded."""
    assert deploy_rate.percent >= limits.success_rate, f"{deploy_rate}; {limits.success_rate} % are needed"


@verifies(
    PACE,
    "picked-up",
    severity="warns",
    when="nightly",
    remedy="gh api repos/{world.github.repository}/actions/runners",
)
def test_picked_up(world: Context, pickups: Waits, limits: Limits) -> None:
    """The 95th percentile of the waits for a runner, lock and approval taken out, is within the limit."""
    assert pickups.p95(limits.deploy_samples) <= limits.pickup_p95, pickups


@verifies(
    PACE,
    "no-stuck-job",
    severity="blocks",
    when="quick",
    remedy="gh run list --repo {world.github.repository} --status queued; gh run cancel RUN --repo {world.github.repository}",
)
def test_no_stuck_job(world: Context, queue: Queue, limits: Limits) -> None:
    """No production job has waited for a runner past its limit."""
    assert not queue.stuck(limits.stuck_after), "; ".join(queue.stuck(limits.stuck_after))


@verifies(
    PACE,
    "noticed",
    severity="warns",
    when="nightly",
    remedy="make watch RUN=latest",
)
def test_noticed(noticed: Noticed, limits: Limits) -> None:
    """Every failure of a runner that a watch wrote down was told of within the limit."""
    late = noticed.late(limits.watch_noticed)
    assert not late, "; ".join(map(str, late))


@verifies(
    PACE,
    "watched",
    severity="blocks",
    when="drill",
    remedy="gh run cancel {watched.run} --repo {world.github.repository}; gh workflow run {watched.file} --repo {world.github.repository} --ref {watched.ref}",
)
def test_watched(world: Context, watched: Watched) -> None:
    """The run that is watched has its job on an approved runner in time, and that runner stays alive."""
    assert watched.well, watched
