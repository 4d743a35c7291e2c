"""Endpoints on workflows, runs, jobs, concurrency, deployments and artifacts (REST reference: Actions, Deployments)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from lab.github import shapes_runs
from lab.github.router import Ask, Refused, Route, not_found
from lab.github.world import Attempt, Deployment, Job, Run

Json = dict[str, Any]
SEARCH_CAP = 1000
"""Runs lists give no more than this many when a filter is used."""


def _run(ask: Ask) -> Run:
    found = ask.world.run(ask.number("run"))
    if found is None:
        raise not_found()
    return found


def _attempt(ask: Ask) -> tuple[Run, Attempt]:
    run = _run(ask)
    found = next((a for a in run.attempts if a.number == ask.number("attempt")), None)
    if found is None:
        raise not_found()
    return run, found


def workflows(ask: Ask) -> Json:
    return ask.wrapped("workflows", ask.world.workflows, lambda w: shapes_runs.workflow(ask.world, ask.base, w))


def workflow(ask: Ask) -> Json:
    found = ask.world.workflow(ask.names["workflow"])
    if found is None:
        raise not_found()
    return shapes_runs.workflow(ask.world, ask.base, found)


def runs(ask: Ask) -> Json:
    return _runs(ask, ask.world.runs)


def workflow_runs(ask: Ask) -> Json:
    found = ask.world.workflow(ask.names["workflow"])
    if found is None:
        raise not_found()
    return _runs(ask, [run for run in ask.world.runs if run.path == found.path])


def _runs(ask: Ask, some: Iterable[Run]) -> Json:
    """Newest first. `status` takes states and conclusions alike."""
    tests: dict[str, Callable[[Run, str], bool]] = {
        "status": lambda run, value: value in (run.last.status, run.last.conclusion),
        "event": lambda run, value: run.event == value,
        "branch": lambda run, value: run.branch == value,
        "head_sha": lambda run, value: run.sha == value,
        "actor": lambda run, value: run.actor == value,
        "created": lambda run, value: _within(run.created, value),
    }
    asked = {name: ask.query[name] for name in tests if ask.query.get(name)}
    kept = [run for run in some if all(tests[name](run, value) for name, value in asked.items())]
    kept.sort(key=lambda run: (run.created, run.id), reverse=True)
    if asked:
        kept = kept[:SEARCH_CAP]
    return ask.wrapped("workflow_runs", kept, lambda run: shapes_runs.run(ask.world, ask.base, run))


def _within(moment: datetime, asked: str) -> bool:
    """GitHub's search syntax for dates: `>=T`, `<=T`, `>T`, `<T`, `A..B` (`*` for open), or one day or moment."""
    first, dots, last = asked.partition("..")
    if dots:
        return (first == "*" or _at(first) <= moment) and (last == "*" or moment <= _at(last, end=True))
    for sign in (">=", "<=", ">", "<"):
        if asked.startswith(sign):
            at = _at(asked.removeprefix(sign), end=sign in ("<=", ">"))
            return {">=": moment >= at, "<=": moment <= at, ">": moment > at, "<": moment < at}[sign]
    return _at(asked) <= moment <= _at(asked, end=True)


def _at(text: str, end: bool = False) -> datetime:
    """A moment, or the first or last one of a day. A `+` of an offset may have become a space in the query."""
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise Refused(422, "Validation Failed", errors=[{"field": "created", "code": "invalid"}]) from None
    if len(text) == len("2026-01-01") and end:
        moment = moment.replace(hour=23, minute=59, second=59)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def run(ask: Ask) -> Json:
    return shapes_runs.run(ask.world, ask.base, _run(ask))


def attempt(ask: Ask) -> Json:
    return shapes_runs.run(ask.world, ask.base, *_attempt(ask))


def run_jobs(ask: Ask) -> Json:
    run = _run(ask)
    return _jobs(ask, run, run.jobs() if ask.query.get("filter") == "all" else run.last.jobs)


def attempt_jobs(ask: Ask) -> Json:
    run, found = _attempt(ask)
    return _jobs(ask, run, found.jobs)


def _jobs(ask: Ask, run: Run, some: list[Job]) -> Json:
    return ask.wrapped("jobs", some, lambda job: shapes_runs.job(ask.world, ask.base, job, run))


def job(ask: Ask) -> Json:
    for run in ask.world.runs:
        for found in run.jobs():
            if found.id == ask.number("job"):
                return shapes_runs.job(ask.world, ask.base, found, run)
    raise not_found()


def job_annotations(ask: Ask) -> list[Json]:
    """A job's check run has the job's own id."""
    found = next((job for run in ask.world.runs for job in run.jobs() if job.id == ask.number("check")), None)
    if found is None:
        raise not_found()
    return ask.bare(found.annotations, lambda text: shapes_runs.annotation(ask.world, ask.base, found, text))


def approvals(ask: Ask) -> list[Json]:
    run = _run(ask)
    named = {job.environment for job in run.jobs() if job.environment and job.status != "waiting"}
    known = sorted(name for name in named if run.approved_by and ask.world.environment(name))
    return [shapes_runs.approval(ask.world, ask.base, run.approved_by, name) for name in known]


def pending_deployments(ask: Ask) -> list[Json]:
    waits = {job.environment: job.created for job in _run(ask).last.jobs if job.status == "waiting"}
    return [
        shapes_runs.pending_deployment(ask.world, ask.base, name, since)
        for name, since in sorted(waits.items())
        if ask.world.environment(name)
    ]


def run_artifacts(ask: Ask) -> Json:
    return _artifacts(ask, _run(ask).id)


def artifacts(ask: Ask) -> Json:
    return _artifacts(ask, None)


def _artifacts(ask: Ask, run_id: int | None) -> Json:
    kept = [a for a in ask.world.artifacts if run_id in (None, a.run_id) and ask.query.get("name", a.name) == a.name]
    kept.sort(key=lambda a: (a.created, a.id), reverse=ask.query.get("direction", "desc") != "asc")
    return ask.wrapped("artifacts", kept, lambda a: shapes_runs.artifact(ask.world, ask.base, a))


def deployments(ask: Ask) -> list[Json]:
    tests: dict[str, Callable[[Deployment], str]] = {
        "environment": lambda d: d.environment,
        "sha": lambda d: d.sha,
        "ref": lambda d: d.ref,
        "task": lambda _: "deploy",
    }
    kept = [
        d for d in ask.world.deployments if all(ask.query.get(name, get(d)) == get(d) for name, get in tests.items())
    ]
    kept.sort(key=lambda d: (d.created, d.id), reverse=True)
    return ask.bare(kept, lambda d: shapes_runs.deployment(ask.world, ask.base, d))


def _deployment(ask: Ask) -> Deployment:
    found = next((d for d in ask.world.deployments if d.id == ask.number("deployment")), None)
    if found is None:
        raise not_found()
    return found


def deployment(ask: Ask) -> Json:
    return shapes_runs.deployment(ask.world, ask.base, _deployment(ask))


def deployment_statuses(ask: Ask) -> list[Json]:
    """Newest first."""
    it = _deployment(ask)
    return ask.bare(it.states[::-1], lambda state: shapes_runs.deployment_status(ask.world, ask.base, it, state))


ROUTES = (
    Route("GET", "R/actions/workflows", "actions", workflows),
    Route("GET", "R/actions/workflows/{workflow}", "actions", workflow),
    Route("GET", "R/actions/workflows/{workflow}/runs", "actions", workflow_runs),
    Route("GET", "R/actions/runs", "actions", runs),
    Route("GET", "R/actions/runs/{run}", "actions", run),
    Route("GET", "R/actions/runs/{run}/jobs", "actions", run_jobs),
    Route("GET", "R/actions/runs/{run}/attempts/{attempt}", "actions", attempt),
    Route("GET", "R/actions/runs/{run}/attempts/{attempt}/jobs", "actions", attempt_jobs),
    Route("GET", "R/actions/runs/{run}/approvals", "actions", approvals),
    Route("GET", "R/actions/runs/{run}/pending_deployments", "actions", pending_deployments),
    Route("GET", "R/actions/runs/{run}/artifacts", "actions", run_artifacts),
    Route("GET", "R/actions/jobs/{job}", "actions", job),
    Route("GET", "R/check-runs/{check}/annotations", "checks", job_annotations),
    Route("GET", "R/actions/artifacts", "actions", artifacts),
    Route("GET", "R/deployments", "deployments", deployments),
    Route("GET", "R/deployments/{deployment}", "deployments", deployment),
    Route("GET", "R/deployments/{deployment}/statuses", "deployments", deployment_statuses),
)
