"""The last good release is one command away."""

from __future__ import annotations

from datetime import datetime

from checks.guarantees import ROLLBACK, verifies
from fixtures.facts import locks, steps
from fixtures.facts.context import Context, Runner
from fixtures.facts.drilled import Drilled
from fixtures.facts.dryrun import DryRun
from fixtures.facts.finding import settled, told
from fixtures.facts.history import Rehearsals
from fixtures.facts.host import Disks
from fixtures.facts.interrupted import Interrupted
from fixtures.facts.limits import Limits
from fixtures.facts.record import Artifacts, Record
from fixtures.facts.returned import shown
from fixtures.facts.returns import Returns
from fixtures.facts.seen import NotApplicable
from fixtures.facts.target import ReleasesKept
from fixtures.facts.workflows import ProductionJob, Workflows, takes


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
    jobs = [job for job in workflows.production(world) if job.entry.path == file.path]
    assert jobs, f"{file.path} has no job that touches production"
    assert any(job.deploys_to(world.environment.name) for job in jobs), (
        f"no job of {file.path} deploys to {world.environment.name}"
    )
    loose = settled(locks.loose(jobs, world.deploy.lock))
    assert not loose, told(loose)
    for job in jobs:
        astray = [route for route in job.routes(approved) if not any(takes(runner, route) for runner in approved)]
        assert not astray, f"{job.place} asks for {astray[0]!r}, which no approved runner wears"


@verifies(
    ROLLBACK,
    "return-told",
    severity="warns",
    when="quick",
    remedy="add `run-name: Return to ${{{{ inputs.{world.rollback.input} }}}}` to {world.rollback.workflow}",
)
def test_return_told(world: Context, workflows: Workflows) -> None:
    """The title of a rollback's run shows the version it returns to, so that the record can be read after it."""
    file = workflows.file(world.rollback.workflow)
    if file is None or file.fault or "workflow_dispatch" not in file.triggers:
        raise NotApplicable(f"no {world.rollback.workflow} can be dispatched: rollback/path-alive says more")
    title = file.run_name
    assert title.present, f"{file.path} has no run-name: after a return on {workflows.ref} nobody can tell what is live"
    assert shown(title.text, world.rollback.input), (
        f"{file.path}:{title.line} run-name {title.text!r} does not show the input {world.rollback.input!r}"
    )


@verifies(
    ROLLBACK,
    "deploy-verifies",
    severity="blocks",
    when="quick",
    remedy="give job {world.deploy.job} of {world.deploy.workflow} the steps that the context declares",
)
def test_deploy_verifies(world: Context, workflows: Workflows) -> None:
    """The deploy job has the declared steps: one that verifies, and one that undoes what failed or was cancelled."""
    if world.deploy.verify is None and world.deploy.undo is None:
        raise NotApplicable("the context declares neither deploy.verify nor deploy.undo")
    found = settled(fault for job in workflows.deploys(world) for fault in steps.unverified(job, world))
    assert not found, told(found)


@verifies(
    ROLLBACK,
    "retry-safe",
    severity="warns",
    when="quick",
    remedy="pin what the steps named above deploy to the run's own commit, or to a digest",
)
def test_retry_safe(world: Context, workflows: Workflows, production_jobs: tuple[ProductionJob, ...]) -> None:
    """A retry deploys the same: nothing of it is `latest` or a branch."""
    workflows.deploys(world)
    found = settled(steps.moving(production_jobs))
    assert not found, told(found)


@verifies(
    ROLLBACK,
    "rehearsed",
    severity="warns",
    when="nightly",
    remedy="gh workflow run {world.rollback.workflow} --repo {world.github.repository} -f {world.rollback.input}=SHA",
)
def test_rehearsed(world: Context, rehearsals: Rehearsals, limits: Limits, drilled: Drilled) -> None:
    """A rollback, or the drill of one, succeeded not too long ago."""
    returned = drilled.held("rollback/returns", limits.rehearsal_age)
    assert rehearsals.succeeded or returned, f"{rehearsals!r}; {drilled.told('rollback/returns')}"


@verifies(
    ROLLBACK,
    "release-on-target",
    severity="blocks",
    when="quick",
    rollback=True,
    remedy="ssh {world.rollback.releases.host} ls -l {world.rollback.releases.directory} {world.rollback.releases.current}",
)
def test_release_on_target(world: Context, releases_kept: ReleasesKept, record: Record) -> None:
    """The target runs what GitHub says is live, and keeps the last good release complete."""
    live = record.current
    assert live, f"{record}; {releases_kept}"
    try:
        last_good = record.last_good
    except NotApplicable:
        last_good = None  # a first release has none before it; what is live must agree all the same
    faults = releases_kept.faults(live.sha, last_good.sha if last_good else "")
    assert not faults, "; ".join(faults)


@verifies(
    ROLLBACK,
    "room-to-return",
    severity="warns",
    when="quick",
    remedy="remove old releases and workspaces: df -h on what is named above",
)
def test_room_to_return(
    world: Context, releases_kept: ReleasesKept, every_disk: dict[str, Disks], limits: Limits
) -> None:
    """The target and the runners have room for the release to return to."""
    assert releases_kept.free >= limits.release_room, f"{releases_kept}; {limits.release_room} are needed"
    short = [
        f"{name}: {mount}"
        for name, disks in every_disk.items()
        for mount in disks.mounts
        if mount.free < limits.release_room
    ]
    assert not short, f"{'; '.join(short)}; {limits.release_room} are needed"


@verifies(
    ROLLBACK,
    "dry-run",
    severity="blocks",
    when="nightly",
    per="runner",
    remedy="ssh {runner.host} {world.rollback.dry_run.command}",
)
def test_dry_run(world: Context, runner: Runner, dry_run: DryRun) -> None:
    """The declared dry run of the rollback passes on this host."""
    assert not dry_run.fault, f"on {runner}: {dry_run.fault}"


@verifies(
    ROLLBACK,
    "interrupted",
    severity="blocks",
    when="drill",
    remedy="ssh {world.drills.target.host}, and look at what its deploy left",
)
def test_interrupted(world: Context, interrupted: Interrupted) -> None:
    """A deploy that is killed after any of its steps leaves a whole release serving, and lands when it is run again."""
    faults = interrupted.faults()
    assert not faults, f"{'; '.join(faults)} ({interrupted!r})"


@verifies(
    ROLLBACK,
    "returns",
    severity="blocks",
    when="drill",
    remedy="gh run view {returns.run} --repo {world.github.repository} --log",
)
def test_returns(world: Context, returns: Returns) -> None:
    """The rollback workflow brings the last good release back within its limit, and GitHub's record shows it."""
    faults = returns.faults()
    assert not faults, f"{'; '.join(faults)} ({returns!r})"
