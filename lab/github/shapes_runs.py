"""Workflows, runs, jobs, deployments and artifacts in GitHub's JSON (OpenAPI: `workflow-run`, `job`, …)."""

from __future__ import annotations

from datetime import datetime

from lab.github.gitobjects import tree_sha
from lab.github.shapes import HTML, Json, environment, minimal_repository, repo_html, repo_url, team, user
from lab.github.world import Artifact, Attempt, Deployment, DeploymentState, Job, Run, Step, Workflow, World, iso

ACTIONS_APP_ID = 15_368


def workflow(world: World, base: str, it: Workflow) -> Json:
    file = it.path.rsplit("/", 1)[-1]
    return {
        "id": it.id,
        "node_id": f"W_{it.id}",
        "name": it.name,
        "path": it.path,
        "state": it.state,
        "created_at": iso(it.created),
        "updated_at": iso(it.created),
        "url": f"{repo_url(world, base)}/actions/workflows/{it.id}",
        "html_url": f"{repo_html(world)}/blob/{world.default_branch}/{it.path}",
        "badge_url": f"{repo_html(world)}/workflows/{file}/badge.svg",
    }


def workflow_of(world: World, it: Run) -> tuple[int, str]:
    """The id and the name of the workflow that a run belongs to; a deleted file keeps its path as its name."""
    known = next((w for w in world.workflows if w.path == it.path), None)
    return (known.id, known.name) if known else (1, it.path)


def run(world: World, base: str, it: Run, attempt: Attempt | None = None) -> Json:
    """A run as its last attempt, or as the given one. `run_started_at` is the attempt's, `created_at` the run's."""
    shown = attempt or it.last
    own = f"{repo_url(world, base)}/actions/runs/{it.id}"
    page = f"{repo_html(world)}/actions/runs/{it.id}"
    workflow_id, name = workflow_of(world, it)
    commit = world.commits.get(it.sha)
    author = {"name": commit.author, "email": f"{commit.author}@users.noreply.github.com"} if commit else None
    who = user(base, it.actor)
    previous = f"{own}/attempts/{shown.number - 1}" if shown.number > 1 else None
    called = [] if it.path.endswith("/ci.yml") else [{
        "path": f"{world.full_name}/.github/workflows/preflight.yml@{it.sha}",
        "sha": it.sha,
        "ref": f"refs/heads/{it.branch}",
    }]  # fmt: skip
    return {
        "id": it.id,
        "name": name,
        "node_id": f"WFR_{it.id}",
        "head_branch": it.branch,
        "head_sha": it.sha,
        "path": it.path,
        "display_title": it.title,
        "run_number": it.number,
        "event": it.event,
        "status": shown.status,
        "conclusion": shown.conclusion,
        "workflow_id": workflow_id,
        "check_suite_id": it.id - 7_000,
        "check_suite_node_id": f"CS_{it.id}",
        "url": own,
        "html_url": page,
        "pull_requests": [],
        "created_at": iso(it.created),
        "updated_at": iso(shown.updated),
        "actor": who,
        "run_attempt": shown.number,
        "referenced_workflows": called,
        "run_started_at": iso(shown.started),
        "triggering_actor": who,
        "jobs_url": f"{own}/jobs",
        "logs_url": f"{own}/logs",
        "check_suite_url": f"{repo_url(world, base)}/check-suites/{it.id - 7_000}",
        "artifacts_url": f"{own}/artifacts",
        "cancel_url": f"{own}/cancel",
        "rerun_url": f"{own}/rerun",
        "previous_attempt_url": previous,
        "workflow_url": f"{repo_url(world, base)}/actions/workflows/{workflow_id}",
        "head_commit": None
        if commit is None
        else {
            "id": commit.sha,
            "tree_id": tree_sha(commit.tree),
            "message": commit.message,
            "timestamp": iso(commit.when),
            "author": author,
            "committer": author,
        },
        "repository": minimal_repository(world, base),
        "head_repository": minimal_repository(world, base),
    }


def job(world: World, base: str, it: Job, of: Run) -> Json:
    """`started_at` of a job that waits is its `created_at`, and its runner is null, as GitHub's are."""
    return {
        "id": it.id,
        "run_id": it.run_id,
        "workflow_name": workflow_of(world, of)[1],
        "head_branch": of.branch,
        "run_url": f"{repo_url(world, base)}/actions/runs/{it.run_id}",
        "run_attempt": it.attempt,
        "node_id": f"CR_{it.id}",
        "head_sha": of.sha,
        "url": f"{repo_url(world, base)}/actions/jobs/{it.id}",
        "html_url": job_page(world, it.run_id, it.id),
        "status": it.status,
        "conclusion": it.conclusion,
        "created_at": iso(it.created),
        "started_at": iso(it.started),
        "completed_at": iso(it.completed),
        "name": it.name,
        "steps": [step(s, place) for place, s in enumerate(it.steps, start=1)],
        "check_run_url": f"{repo_url(world, base)}/check-runs/{it.id}",
        "labels": it.labels,
        "runner_id": it.runner_id,
        "runner_name": it.runner_name,
        "runner_group_id": it.group_id,
        "runner_group_name": it.group_name,
    }


def step(it: Step, place: int) -> Json:
    """Step times carry milliseconds, unlike every other time in the API."""

    def milli(text: str | None) -> str | None:
        return None if text is None else text.replace("Z", ".000Z")

    return {
        "name": it.name,
        "status": it.status,
        "conclusion": it.conclusion,
        "number": place,
        "started_at": milli(iso(it.started)),
        "completed_at": milli(iso(it.completed)),
    }


def annotation(world: World, base: str, it: Job, text: str) -> Json:
    return {
        "path": ".github",
        "start_line": 1,
        "end_line": 1,
        "start_column": None,
        "end_column": None,
        "annotation_level": "failure",
        "title": "",
        "message": text,
        "raw_details": None,
        "blob_href": f"{repo_html(world)}/actions/runs/{it.run_id}",
    }


def job_page(world: World, run_id: int, job_id: int) -> str:
    return f"{repo_html(world)}/actions/runs/{run_id}/job/{job_id}"


def artifact(world: World, base: str, it: Artifact) -> Json:
    own = f"{repo_url(world, base)}/actions/artifacts/{it.id}"
    # A server of one's own knows no digests (github-api.md 1.8).
    digest = {} if world.enterprise else {"digest": it.digest}
    return digest | {
        "id": it.id,
        "node_id": f"A_{it.id}",
        "name": it.name,
        "size_in_bytes": it.size,
        "url": own,
        "archive_download_url": f"{own}/zip",
        "expired": it.expired,
        "created_at": iso(it.created),
        "updated_at": iso(it.created),
        "expires_at": iso(it.expires),
        "workflow_run": {
            "id": it.run_id,
            "repository_id": minimal_repository(world, base)["id"],
            "head_repository_id": minimal_repository(world, base)["id"],
            "head_branch": it.branch,
            "head_sha": it.sha,
        },
    }


def actions_app(world: World, base: str) -> Json:
    return {
        "id": ACTIONS_APP_ID,
        "client_id": "lab-github-actions",
        "slug": "github-actions",
        "node_id": "A_github-actions",
        "owner": user(base, "github", "Organization", 9919),
        "name": "GitHub Actions",
        "description": "Automate your workflow from idea to production",
        "external_url": "https://help.github.com/en/actions",
        "html_url": f"{HTML}/apps/github-actions",
        "created_at": iso(world.created),
        "updated_at": iso(world.created),
        "permissions": {"actions": "write", "contents": "write", "deployments": "write", "metadata": "read"},
        "events": ["workflow_dispatch"],
    }


def deployment(world: World, base: str, it: Deployment) -> Json:
    own = f"{repo_url(world, base)}/deployments/{it.id}"
    return {
        "url": own,
        "id": it.id,
        "node_id": f"DE_{it.id}",
        "task": "deploy",
        "original_environment": it.environment,
        "environment": it.environment,
        "description": None,
        "created_at": iso(it.created),
        "updated_at": iso(it.states[-1].created if it.states else it.created),
        "statuses_url": f"{own}/statuses",
        "repository_url": repo_url(world, base),
        "creator": user(base, it.creator),
        "sha": it.sha,
        "ref": it.ref,
        "payload": {},
        "transient_environment": False,
        "production_environment": True,
        "performed_via_github_app": actions_app(world, base),
    }


def deployment_status(world: World, base: str, it: Deployment, state: DeploymentState) -> Json:
    """The log's address is the only way from a deployment to its job. `waiting` is in no schema, yet it occurs."""
    page = job_page(world, it.run_id, it.job_id)
    own = f"{repo_url(world, base)}/deployments/{it.id}"
    return {
        "url": f"{own}/statuses/{state.id}",
        "id": state.id,
        "node_id": f"DES_{state.id}",
        "state": state.state,
        "creator": user(base, "github-actions[bot]", "Bot", 41_898_282),
        "description": "",
        "environment": it.environment,
        "target_url": page,
        "created_at": iso(state.created),
        "updated_at": iso(state.created),
        "deployment_url": own,
        "repository_url": repo_url(world, base),
        "environment_url": "",
        "log_url": page,
        "performed_via_github_app": actions_app(world, base),
    }


def pending_deployment(world: World, base: str, name: str, since: datetime | None = None) -> Json:
    it = world.environment(name)
    assert it is not None
    shown = environment(world, base, it)
    return {
        "environment": {key: shown[key] for key in ("id", "node_id", "name", "url", "html_url")},
        "wait_timer": it.wait_minutes,
        "wait_timer_started_at": iso(since) if it.wait_minutes else None,
        "current_user_can_approve": False,
        "reviewers": [{"type": "Team", "reviewer": team(base)}] if it.reviewers else [],
    }


def approval(world: World, base: str, login: str, name: str) -> Json:
    """GitHub tells who approved and never when."""
    it = world.environment(name)
    assert it is not None
    shown = environment(world, base, it)
    keys = ("id", "node_id", "name", "url", "html_url", "created_at", "updated_at")
    return {
        "environments": [{key: shown[key] for key in keys}],
        "state": "approved",
        "user": user(base, login),
        "comment": "",
    }
