"""Ways in which history, the queue and the settings around production break. As in `mutate.py`, each takes a fresh world."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from lab.github.history import DEFAULT_GROUP
from lab.github.jobs import LOST
from lab.github.runs import RunMaker
from lab.github.world import Job, Named, Run, World

T = TypeVar("T")

DEPLOY = ".github/workflows/deploy-production.yml"
ROLLBACK = ".github/workflows/rollback.yml"
HIGHER = "Canceling since a higher priority waiting request for 'production' exists"


def _there(found: T | None) -> T:
    if found is None:
        raise LookupError("the world has no such thing any more")
    return found


def _deploys(world: World) -> list[Run]:
    """Deploys that succeeded, the newest first."""
    done = [run for run in world.runs if run.path == DEPLOY and run.last.conclusion == "success"]
    return sorted(done, key=lambda run: run.created, reverse=True)


def _head(world: World) -> str:
    return next(branch.sha for branch in world.branches if branch.name == world.default_branch)


def _delay(world: World, run: Run, job: Job, by: timedelta, start: bool = True) -> None:
    """Everything of the job from its start on comes later; with `start` false, from its queueing on."""
    job.started += by
    if job.completed is not None:
        job.completed += by
    job.steps = [
        replace(s, started=s.started and s.started + by, completed=s.completed and s.completed + by) for s in job.steps
    ]
    run.last.updated += by
    for deployment in world.deployments:
        if deployment.job_id == job.id:
            for state in deployment.states:
                if state.state != "waiting" and not (start and state.state == "queued"):
                    state.created += by


def deploys_overlapped(world: World) -> None:
    """The rehearsal of the rollback ran while a deploy did."""
    rollback = next(run for run in world.runs if run.path == ROLLBACK)
    deploy = _deploys(world)[6]
    job = rollback.last.jobs[-1]
    by = deploy.last.jobs[-1].started + timedelta(seconds=30) - job.started
    for other in rollback.jobs():
        if other is not job:
            other.created, other.started = other.created + by, other.started + by
            other.completed = other.completed and other.completed + by
            other.steps = [
                replace(s, started=s.started and s.started + by, completed=s.completed and s.completed + by)
                for s in other.steps
            ]
    rollback.created += by
    rollback.last.started += by
    job.created += by
    _delay(world, rollback, job, by, start=False)
    for deployment in world.deployments:
        if deployment.job_id == job.id:
            deployment.created += by
            deployment.states[0].created += by


def lock_not_taken(world: World) -> None:
    """A deploy of last week ran under another lock, by the file that it had then."""
    run = _deploys(world)[4]
    run.last.jobs[-1].lock = "production-main"
    commit = world.commits[run.sha]
    changed = commit.tree[DEPLOY].replace(b"group: production\n", b"group: production-main\n")
    world.commits[run.sha] = replace(commit, tree={**commit.tree, DEPLOY: changed})


def deploy_dropped(world: World) -> None:
    """A deploy waited for the lock, a newer one pushed it out, and that one never landed."""
    make = RunMaker(world, random.Random(1))
    make.dropped_production(sha=_head(world), created=world.now - timedelta(hours=2), because=HIGHER)


def deploy_on_stranger(world: World) -> None:
    """A deploy of last week ran on the build runner."""
    job = _deploys(world)[5].last.jobs[-1]
    stranger = _there(world.runner("build-runner-01"))
    group = _there(world.group(DEFAULT_GROUP))
    job.runner_id, job.runner_name, job.group_id, job.group_name = stranger.id, stranger.name, group.id, group.name


def standby_unproven(world: World) -> None:
    """Nothing ran on the standby for eight days: what did, ran on the primary."""
    primary = _there(world.runner("prod-runner-01"))
    for run in world.runs:
        for job in run.jobs():
            if job.runner_name == "prod-runner-02" and job.started > world.now - timedelta(days=8):
                job.runner_id, job.runner_name = primary.id, primary.name


def never_rehearsed(world: World) -> None:
    gone = {run.id for run in world.runs if run.path == ROLLBACK}
    world.runs = [run for run in world.runs if run.id not in gone]
    world.deployments = [it for it in world.deployments if it.run_id not in gone]


def _return(world: World, title: str) -> None:
    """A rollback an hour ago, ordered on main: GitHub records its deployment under main's head, which nobody deployed."""
    RunMaker(world, random.Random(1)).production(
        path=ROLLBACK,
        job="rollback",
        event="workflow_dispatch",
        sha=_head(world),
        title=title,
        created=world.now - timedelta(hours=1),
        runner="prod-runner-01",
        seconds=95,
        ok=True,
    )


def return_rehearsed(world: World) -> None:
    """To the release that is live: it changed nothing."""
    _return(world, f"Return to {_deploys(world)[0].sha}")


def return_undone(world: World) -> None:
    """To the release before the live one, which serves all the same."""
    _return(world, f"Return to {_deploys(world)[1].sha}")


def return_hidden(world: World) -> None:
    """The title is the workflow's name, as where the file has no run-name."""
    _return(world, "Rollback")


def deploy_failed(world: World) -> None:
    """A deploy of this week failed; older and newer ones did not."""
    run = _deploys(world)[2]
    job = run.last.jobs[-1]
    run.last.conclusion = job.conclusion = "failure"
    for deployment in world.deployments:
        if deployment.job_id == job.id:
            deployment.states[-1].state = "failure"


def deploy_lost(world: World) -> None:
    """The newest deploy lost its runner: GitHub waited for ten minutes, and a step was left without an end."""
    make = RunMaker(world, random.Random(1))
    run = make.production(
        path=DEPLOY,
        job="deploy",
        event="workflow_dispatch",
        sha=_head(world),
        title="Deploy production INFRA-472",
        created=world.now - timedelta(hours=2),
        runner="prod-runner-01",
        seconds=660,
        ok=False,
    )
    job = run.last.jobs[-1]
    job.annotations = [LOST.format(name=job.runner_name)]
    for step in job.steps:
        if step.name in ("Deploy", "Verify", "Undo", "Complete job"):
            step.conclusion, step.completed = None, None
            step.status = "in_progress" if step.name == "Deploy" else "queued"


def slow_pickups(world: World) -> None:
    """The three newest deploys waited eight minutes more for a runner."""
    for run in _deploys(world)[:3]:
        _delay(world, run, run.last.jobs[-1], timedelta(minutes=8))


def job_stuck(world: World) -> None:
    """A deploy asks for a label that nobody wears, since twenty minutes."""
    make = RunMaker(world, random.Random(1))
    make.queued_production(
        sha=_head(world), created=world.now - timedelta(minutes=25), labels=["self-hosted", "prod-runner-10"]
    )


def group_opened(world: World) -> None:
    """The runner group admits every repository of the organisation."""
    for group in world.groups:
        if group.name == "production":
            group.visibility, group.repositories = "all", ()


def group_shared(world: World) -> None:
    """One more repository may use production's runners."""
    for group in world.groups:
        if group.name == "production":
            group.repositories = (*group.repositories, f"{world.owner}/gadgets")


def _variable(world: World, name: str, value: str) -> None:
    when = world.now - timedelta(days=3)
    world.variables[name] = Named(name, when, when, value)


def debug_on(world: World) -> None:
    _variable(world, "ACTIONS_STEP_DEBUG", "true")


def credential_in_variable(world: World) -> None:
    _variable(world, "REGISTRY_TOKEN", "h7Gq2Zx9Lw4Rt8Vb1Nm6")


def secret_old(world: World) -> None:
    production = _there(world.environment("production"))
    production.secrets["REGISTRY_TOKEN"].updated = world.now - timedelta(days=200)


def token_ends(world: World) -> None:
    world.token_ends = world.now + timedelta(days=3)


def token_writes(world: World) -> None:
    """A classic token, which may do what its owner may."""
    world.token_ends, world.token_scopes = None, "repo, read:org"


MUTATIONS: dict[str, Callable[[World], None]] = {
    "deploys-overlapped": deploys_overlapped,
    "lock-not-taken": lock_not_taken,
    "deploy-dropped": deploy_dropped,
    "deploy-on-stranger": deploy_on_stranger,
    "standby-unproven": standby_unproven,
    "never-rehearsed": never_rehearsed,
    "return-rehearsed": return_rehearsed,
    "return-undone": return_undone,
    "return-hidden": return_hidden,
    "deploy-failed": deploy_failed,
    "deploy-lost": deploy_lost,
    "slow-pickups": slow_pickups,
    "job-stuck": job_stuck,
    "group-opened": group_opened,
    "group-shared": group_shared,
    "debug-on": debug_on,
    "credential-in-variable": credential_in_variable,
    "secret-old": secret_old,
    "token-ends-soon": token_ends,
    "token-may-write": token_writes,
}
