"""Runs with their jobs, steps and deployment records, made the way GitHub leaves them behind."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from lab.github.world import Attempt, Deployment, DeploymentState, Job, Run, Status, Step, World

HOSTED = (3, "GitHub Actions 3", 2, "GitHub Actions")
"""Runner id, name, group id, group name of a GitHub-hosted job, as recorded answers show them."""

STEPS = {
    "preflight / preflight": ("Set up job", "Run actions/checkout", "Run pytest", "Complete job"),
    "deploy": (
        "Set up job",
        "Run actions/checkout",
        "Build",
        "Keep the artifact",
        "Deploy",
        "Verify",
        "Undo",
        "Complete job",
    ),
    "rollback": ("Set up job", "Run actions/checkout", "Return", "Verify", "Complete job"),
    "nightly": ("Set up job", "Run actions/checkout", "Every check", "Complete job"),
    "canary": ("Set up job", "Print the canary", "Complete job"),
    "test": ("Set up job", "Run actions/checkout", "Test", "Complete job"),
}
LOCK = "production"
ENVIRONMENT = "production"
APPROVER = "acme-release-lead"
ACTOR = "acme-release-manager"


class RunMaker:
    """Adds runs to a world. `dice` decides the small times a person or a queue takes."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self.world = world
        self.dice = dice

    def production(
        self,
        *,
        path: str,
        job: str,
        event: str,
        sha: str,
        title: str,
        created: datetime,
        runner: str,
        seconds: int,
        ok: bool,
        refused_first: bool = False,
    ) -> Run:
        """A finished run: preflight on a hosted runner, an approval, then `job` on `runner` for `seconds`.

        `refused_first`: the gate of a first attempt said no, so its production job never started.
        """
        run = self._run(path, event, self.world.default_branch, sha, title, created)
        run.approved_by = APPROVER
        start = created
        if refused_first:
            gate = self.gate(run, 1, start, ok=False)
            end = gate.completed or start
            skipped = self._job(run, 1, job, end, end, end, "completed", "skipped", [], None)
            skipped.labels = []
            run.attempts.append(Attempt(1, "completed", "failure", start, end, [gate, skipped]))
            start = end + timedelta(minutes=self.dice.randint(8, 20))
        number = len(run.attempts) + 1
        gate = self.gate(run, number, start)
        ready = (gate.completed or start) + timedelta(seconds=1)
        approved = ready + timedelta(seconds=self.dice.randint(60, 900))
        began = approved + timedelta(seconds=self.dice.randint(3, 9))
        end = began + timedelta(seconds=seconds)
        result = "success" if ok else "failure"
        labels = ["self-hosted", runner]
        done = self._job(run, number, job, ready, began, end, "completed", result, labels, runner)
        done.lock, done.environment = LOCK, ENVIRONMENT
        run.attempts.append(Attempt(number, "completed", result, start, end + timedelta(seconds=2), [gate, done]))
        self.deployment(run, done, [("waiting", ready), ("queued", approved), ("in_progress", began), (result, end)])
        return run

    def open_production(self, *, sha: str, created: datetime, runner: str, approved: bool) -> Run:
        """A deploy that holds the lock now: running on `runner`, or waiting for somebody's approval since `created`."""
        run = self._run(
            ".github/workflows/deploy-production.yml",
            "workflow_dispatch",
            self.world.default_branch,
            sha,
            "Deploy production",
            created,
        )
        gate = self.gate(run, 1, created)
        ready = (gate.completed or created) + timedelta(seconds=1)
        states = [("waiting", ready)]
        labels = ["self-hosted", runner]
        if approved:
            run.approved_by = APPROVER
            began = ready + timedelta(seconds=20)
            job = self._job(run, 1, "deploy", ready, began, None, "in_progress", None, labels, runner)
            states += [("queued", began - timedelta(seconds=4)), ("in_progress", began)]
        else:
            job = self._job(run, 1, "deploy", ready, ready, None, "waiting", None, labels, None)
        job.lock, job.environment, job.lease = LOCK, ENVIRONMENT, "held"
        run.attempts.append(Attempt(1, job.status, None, created, states[-1][1], [gate, job]))
        self.deployment(run, job, states)
        return run

    def queued_production(self, *, sha: str, created: datetime, labels: list[str]) -> Run:
        """A deploy that was approved, holds the lock, and asks for these labels, which nobody has taken yet."""
        run = self.open_production(sha=sha, created=created, runner="", approved=False)
        run.approved_by = APPROVER
        job = run.last.jobs[-1]
        job.status = run.last.status = "queued"
        job.labels = labels
        record = self.world.deployments[-1]
        when = record.created + timedelta(minutes=1)
        record.states.append(DeploymentState(self.world.next_id() - 30_000_000_000, "queued", when))
        run.last.updated = when
        return run

    def dropped_production(self, *, sha: str, created: datetime, because: str) -> Run:
        """A deploy that was cancelled while it waited for the lock."""
        path = ".github/workflows/deploy-production.yml"
        run = self._run(path, "workflow_dispatch", self.world.default_branch, sha, "Deploy production", created)
        gate = self.gate(run, 1, created)
        ready = (gate.completed or created) + timedelta(seconds=1)
        end = ready + timedelta(minutes=4)
        job = self._job(run, 1, "deploy", ready, ready, end, "completed", "cancelled", [], None)
        job.lock, job.environment, job.annotations = LOCK, ENVIRONMENT, [because]
        run.attempts.append(Attempt(1, "completed", "cancelled", created, end, [gate, job]))
        return run

    def ci(self, *, event: str, branch: str, sha: str, created: datetime, seconds: int) -> Run:
        """A finished test run on the build runner."""
        run = self._run(".github/workflows/ci.yml", event, branch, sha, "CI", created)
        began = created + timedelta(seconds=self.dice.randint(3, 12))
        end = began + timedelta(seconds=seconds)
        labels = ["self-hosted", "build"]
        job = self._job(run, 1, "test", created, began, end, "completed", "success", labels, "build-runner-01")
        run.attempts.append(Attempt(1, "completed", "success", created, end + timedelta(seconds=1), [job]))
        return run

    def nightly(self, *, sha: str, created: datetime) -> Run:
        """A night on a hosted runner, in which everything held. No dice: they are the deploys'."""
        run = self._run(".github/workflows/nightly.yml", "schedule", self.world.default_branch, sha, "Nightly", created)
        began, end = created + timedelta(seconds=8), created + timedelta(seconds=75)
        job = self._job(run, 1, "nightly", created, began, end, "completed", "success", ["ubuntu-latest"], "hosted")
        run.attempts.append(Attempt(1, "completed", "success", created, end + timedelta(seconds=1), [job]))
        return run

    def open_ci(self, *, branch: str, sha: str, created: datetime, runner: str, labels: list[str]) -> Run:
        """A test run that keeps `runner` busy now: a branch may ask for any label it likes."""
        run = self._run(".github/workflows/ci.yml", "push", branch, sha, "CI", created)
        began = created + timedelta(seconds=5)
        job = self._job(run, 1, "test", created, began, None, "in_progress", None, labels, runner)
        run.attempts.append(Attempt(1, "in_progress", None, created, began, [job]))
        return run

    def canary(self, sha: str, created: datetime) -> Run:
        """A finished run of the canary on both runners."""
        path = ".github/workflows/secret-canary.yml"
        run = self._run(path, "schedule", self.world.default_branch, sha, "Secret canary", created)
        end = created + timedelta(seconds=12)
        jobs = [
            self._job(
                run, 1, f"canary ({name})", created, created + timedelta(seconds=4), end, "completed", "success",
                ["self-hosted", name], name,
            )
            for name in ("prod-runner-01", "prod-runner-02")
        ]  # fmt: skip
        run.attempts.append(Attempt(1, "completed", "success", created, end, jobs))
        return run

    def gate(self, run: Run, attempt: int, start: datetime, ok: bool = True) -> Job:
        """The preflight job. A reusable workflow's job is named `caller / called`, as GitHub names it."""
        began = start + timedelta(seconds=self.dice.randint(4, 15))
        end = began + timedelta(seconds=self.dice.randint(20, 45))
        return self._job(
            run,
            attempt,
            "preflight / preflight",
            start,
            began,
            end,
            "completed",
            "success" if ok else "failure",
            ["ubuntu-latest"],
            "hosted",
        )

    def deployment(self, run: Run, job: Job, states: list[tuple[str, datetime]]) -> Deployment:
        """The record that GitHub Actions keeps of a job with an environment."""
        record = Deployment(
            id=self.world.next_id() - 38_000_000_000,
            run_id=run.id,
            job_id=job.id,
            sha=run.sha,
            ref=run.branch,
            environment=ENVIRONMENT,
            creator=run.actor,
            created=states[0][1],
            states=[],
        )
        for state, when in states:
            record.states.append(DeploymentState(self.world.next_id() - 30_000_000_000, state, when))
        self.world.deployments.append(record)
        return record

    def _run(self, path: str, event: str, branch: str, sha: str, title: str, created: datetime) -> Run:
        number = 400 + sum(1 for run in self.world.runs if run.path == path)
        run = Run(self.world.next_id(1009), path, number, event, branch, sha, title, ACTOR, created, [])
        self.world.runs.append(run)
        return run

    def _job(
        self,
        run: Run,
        attempt: int,
        name: str,
        created: datetime,
        began: datetime,
        end: datetime | None,
        status: Status,
        conclusion: str | None,
        labels: list[str],
        runner: str | None,
    ) -> Job:
        job = Job(
            id=self.world.next_id(), run_id=run.id, attempt=attempt, name=name, status=status, conclusion=conclusion,
            created=created, started=began, completed=end, labels=labels,
        )  # fmt: skip
        if runner == "hosted":
            job.runner_id, job.runner_name, job.group_id, job.group_name = HOSTED
        elif runner is not None:
            known = self.world.runner(runner)
            group = self.world.group(known.group_id) if known else None
            if known is not None and group is not None:
                job.runner_id, job.runner_name, job.group_id, job.group_name = known.id, runner, group.id, group.name
        if job.runner_name is not None:
            job.steps = _steps(STEPS[name.partition(" (")[0]], began, end, conclusion)
        return job


def _steps(names: tuple[str, ...], began: datetime, end: datetime | None, conclusion: str | None) -> list[Step]:
    """The steps share the job's time evenly; a job that still runs is in its fourth one.

    What fails is the verification, or else the last step of its own; the undo runs only then.
    """
    failed = conclusion == "failure"
    bad = ("Verify" if "Verify" in names else names[-2]) if failed else ""
    shown = end or began + timedelta(minutes=30)
    width = (shown - began) / len(names)
    steps: list[Step] = []
    for place, name in enumerate(names):
        start = began + width * place
        if end is None and place >= 3:
            steps.append(
                Step(name, "in_progress" if place == 3 else "queued", None, start if place == 3 else None, None)
            )
            continue
        skipped = name == "Undo" and not failed
        told = "failure" if name == bad else "skipped" if skipped else "success"
        steps.append(Step(name, "completed", told, start, start if skipped else start + width))
    return steps
