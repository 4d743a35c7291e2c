"""The last good release is one command away."""

from __future__ import annotations

from datetime import datetime

from checks.guarantees import ROLLBACK, verifies
from fixtures.facts.context import Context, Limits, Runner
from fixtures.facts.history import Rehearsals
from fixtures.facts.record import Artifacts, Record
from fixtures.facts.workflows import Workflows


@verifies(
    ROLLBACK,
    "last-good-known",
    severity="blocks",
    when="quick",
    rollback=True,
    remedy="gh api repos/{world.github.repository}/deployments?environment={world.environment.name}",
)
def test_last_good_known(world: Context, record: Record) -> None:
    """A previous successful production deployment, of another sha, is on record, and its commit exists."""
    last_good = record.last_good
    assert last_good, f"{record}; no two of them succeeded with different commits"
    assert record.commit_exists, f"the last good release is {last_good.sha[:12]}, and its commit is gone"


@verifies(
    ROLLBACK,
    "artifact-kept",
    severity="blocks",
    when="quick",
    rollback=True,
    remedy="gh run list --repo {world.github.repository} --workflow {world.deploy.workflow}",
)
def test_artifact_kept(world: Context, artifacts: Artifacts, limits: Limits, now: datetime) -> None:
    """The last good release's artifact is unexpired with a margin, its digest known, and kept as long as the window."""
    kept = artifacts.kept
    assert kept, artifacts
    assert kept.expires - now >= limits.artifact_margin, kept
    assert kept.digest != "", kept
    assert kept.expires - kept.created >= world.rollback.window, (
        f"{kept} is kept shorter than the rollback window of {world.rollback.window.days} days"
    )


@verifies(
    ROLLBACK,
    "path-alive",
    severity="blocks",
    when="quick",
    rollback=True,
    remedy="gh workflow enable {world.rollback.workflow} --repo {world.github.repository}",
)
def test_path_alive(world: Context, workflows: Workflows, approved: tuple[Runner, ...]) -> None:
    """The rollback workflow is enabled, takes a version, and runs under the same lock, environment and runners."""
    file = workflows.file(world.rollback.workflow)
    assert file, f"there is no {world.rollback.workflow} at {workflows.ref}"
    assert not file.fault, f"GitHub would reject {file.path}: {file.fault}"
    assert file.state == "active", f"{file.path} is {file.state}"
    assert "workflow_dispatch" in file.triggers, f"{file.path} cannot be dispatched"
    assert world.rollback.input in file.dispatch_inputs, f"{file.path} has no input {world.rollback.input!r}"
    jobs = [job for job in workflows.production(world) if job.job.path == file.path]
    assert jobs, f"{file.path} has no job that touches production"
    assert any(job.job.environment.casefold() == world.environment.name.casefold() for job in jobs), (
        f"no job of {file.path} deploys to {world.environment.name}"
    )
    for job in jobs:
        assert not job.lock_fault(world.deploy.lock), job.lock_fault(world.deploy.lock)
        worn = [{label.casefold() for label in runner.labels} for runner in approved]
        for labels in job.possible_labels(approved):
            assert any({label.casefold() for label in labels} <= w for w in worn), (
                f"{job.job.place} asks for {job.job.runs_on}, which no approved runner wears"
            )


@verifies(
    ROLLBACK,
    "rehearsed",
    severity="warns",
    when="nightly",
    remedy="gh workflow run {world.rollback.workflow} --repo {world.github.repository} -f {world.rollback.input}=SHA",
)
def test_rehearsed(world: Context, rehearsals: Rehearsals) -> None:
    """A rollback succeeded not too long ago."""
    assert rehearsals.succeeded, rehearsals
