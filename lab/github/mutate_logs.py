"""Ways in which the logs of jobs, and the canary, break. Each takes a fresh world."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

from lab.github.history import CANARY
from lab.github.world import Job, Run, World

DEPLOY = ".github/workflows/deploy-production.yml"


def _worthless(word: str, length: int) -> str:
    """Letters and digits that look random, and are made from a word."""
    return hashlib.sha256(word.encode()).hexdigest()[:length]


def _newest(world: World) -> tuple[Run, Job]:
    run = max((r for r in world.runs if r.path == DEPLOY and r.last.conclusion == "success"), key=lambda r: r.created)
    return run, run.last.jobs[-1]


def _say(world: World, line: str) -> None:
    """In the newest deploy's log. A log never changes, so it is another job's."""
    _, job = _newest(world)
    old, job.id = job.id, job.id + 3
    for deployment in world.deployments:
        if deployment.job_id == old:
            deployment.job_id = job.id
    world.logged[job.id] = [line]


def secret_in_log(world: World) -> None:
    _say(world, f"pushing with token ghp_{_worthless('a leak', 36)} to registry.example.com")


def canary_in_log(world: World) -> None:
    _say(world, f"environment: DEPLOY_KEY=PfCanary{_worthless('a canary', 22)}")


def logs_lost(world: World) -> None:
    _say(world, "nothing that anybody may not see")
    world.logs_lost = True


def logs_expired(world: World) -> None:
    deploys = sorted((r for r in world.runs if r.path == DEPLOY), key=lambda r: r.created)
    world.logs_expired = {job.id for run in deploys[:-5] for job in run.jobs()}


def _canary(world: World) -> Run:
    return next(run for run in world.runs if run.path == CANARY)


def canary_old(world: World) -> None:
    run, by = _canary(world), timedelta(days=9)
    world.hides_runs_of = CANARY
    run.created -= by
    for attempt in run.attempts:
        attempt.started -= by
        attempt.updated -= by
        for job in attempt.jobs:
            job.created, job.started = job.created - by, job.started - by
            job.completed = job.completed and job.completed - by
            for step in job.steps:
                step.started = step.started and step.started - by
                step.completed = step.completed and step.completed - by


def canary_skipped_standby(world: World) -> None:
    attempt = _canary(world).last
    world.hides_runs_of = CANARY
    attempt.jobs = [job for job in attempt.jobs if job.runner_name != "prod-runner-02"]


MUTATIONS: dict[str, Callable[[World], None]] = {
    "secret-in-log": secret_in_log,
    "canary-in-log": canary_in_log,
    "logs-lost": logs_lost,
    "logs-expired": logs_expired,
    "canary-old": canary_old,
    "canary-skipped-standby": canary_skipped_standby,
}
