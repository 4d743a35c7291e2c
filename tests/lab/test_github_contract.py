"""The stand-in answers to GitHub's own contract: a client generated from its OpenAPI document reads every answer.

Needs `githubkit[schemas]` with `hishel<2`; skipped where it is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.standin import ORG, REPO, TOKEN, Standin, started

githubkit = pytest.importorskip(
    "githubkit", reason='githubkit is not installed: pip install "githubkit[schemas]" "hishel<2"'
)
pytest.importorskip(
    "githubkit_schemas", reason='the models are not installed: pip install "githubkit[schemas]" "hishel<2"'
)

UNKNOWN_FIELDS = {
    # The environments API serves it; the document does not list it (recorded answers; github-api.md 0.8).
    "can_admins_bypass",
    # An App's permissions are an open map; this one is among those of github-actions.
    "actions",
}
"""Fields that the stand-in sends and the document does not know."""

STATES_IN_THE_DOCUMENT = 3
"""Of a finished deployment's four statuses, newest first, the oldest is `waiting`: it occurs at GitHub (webhooks,
GraphQL; github-api.md 1.4), and the document's list does not have it, so the generated client rejects it."""

VERSION = "2026-03-10"


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    """With a deploy that runs and one that waits, so that no list is empty where it matters."""
    with started(tmp_path_factory.mktemp("standin")) as standin:
        standin.fault("deploy-in-flight")
        standin.fault("lock-held-by-waiting-run")
        yield standin


@pytest.fixture(scope="module")
def client(github: Standin) -> Any:
    return githubkit.GitHub(TOKEN, base_url=github.url + "/", http_cache=False, auto_retry=False)


def first(github: Standin, path: str, key: str = "") -> Any:
    rows = github.get(path)
    return (rows[key] if key else rows)[0]


def newest_finished_run(github: Standin) -> int:
    return int(
        first(github, f"{REPO}/actions/workflows/deploy-production.yml/runs?status=success", "workflow_runs")["id"]
    )


def waiting_run(github: Standin) -> int:
    return int(first(github, f"{REPO}/actions/runs?status=waiting", "workflow_runs")["id"])


def finished_deployment(github: Standin) -> int:
    return int(github.get(f"{REPO}/deployments")[5]["id"])


def group_id(github: Standin) -> int:
    return int(github.get(f"{ORG}/actions/runner-groups")["runner_groups"][1]["id"])


def head(github: Standin) -> str:
    return str(github.get(f"{REPO}/branches/main")["commit"]["sha"])


R = ("acme", "widgets")
ANSWERS: dict[str, Callable[[Any, Standin], Any]] = {
    "repository": lambda rest, _: rest.repos.get(*R),
    "repository runners": lambda rest, _: rest.actions.list_self_hosted_runners_for_repo(*R),
    "repository runner": lambda rest, _: rest.actions.get_self_hosted_runner_for_repo(*R, 103),
    "organisation runners": lambda rest, _: rest.actions.list_self_hosted_runners_for_org("acme"),
    "organisation runner": lambda rest, _: rest.actions.get_self_hosted_runner_for_org("acme", 101),
    "runner groups": lambda rest, _: rest.actions.list_self_hosted_runner_groups_for_org("acme"),
    "runner group": lambda rest, g: rest.actions.get_self_hosted_runner_group_for_org("acme", group_id(g)),
    "group runners": lambda rest, g: rest.actions.list_self_hosted_runners_in_group_for_org("acme", group_id(g)),
    "group repositories": lambda rest, g: rest.actions.list_repo_access_to_self_hosted_runner_group_in_org(
        "acme", group_id(g)
    ),
    "workflows": lambda rest, _: rest.actions.list_repo_workflows(*R),
    "workflow": lambda rest, _: rest.actions.get_workflow(*R, "rollback.yml"),
    "workflow runs": lambda rest, _: rest.actions.list_workflow_runs(*R, "deploy-production.yml", per_page=100),
    "runs": lambda rest, _: rest.actions.list_workflow_runs_for_repo(*R, per_page=100),
    "run": lambda rest, g: rest.actions.get_workflow_run(*R, newest_finished_run(g)),
    "attempt": lambda rest, g: rest.actions.get_workflow_run_attempt(*R, newest_finished_run(g), 1),
    "jobs": lambda rest, g: rest.actions.list_jobs_for_workflow_run(*R, newest_finished_run(g), filter_="all"),
    "waiting jobs": lambda rest, g: rest.actions.list_jobs_for_workflow_run(*R, waiting_run(g)),
    "attempt jobs": lambda rest, g: rest.actions.list_jobs_for_workflow_run_attempt(*R, newest_finished_run(g), 1),
    "job": lambda rest, g: rest.actions.get_job_for_workflow_run(
        *R, first(g, f"{REPO}/actions/runs/{newest_finished_run(g)}/jobs", "jobs")["id"]
    ),
    "approvals": lambda rest, g: rest.actions.get_reviews_for_run(*R, newest_finished_run(g)),
    "pending deployments": lambda rest, g: rest.actions.get_pending_deployments_for_run(*R, waiting_run(g)),
    "concurrency groups": lambda rest, _: rest.actions.list_concurrency_groups_for_repository(*R),
    "concurrency group": lambda rest, _: rest.actions.get_concurrency_group_for_repository(*R, "production"),
    "concurrency groups of a run": lambda rest, g: rest.actions.list_concurrency_groups_for_workflow_run(
        *R, waiting_run(g)
    ),
    "artifacts": lambda rest, _: rest.actions.list_artifacts_for_repo(*R),
    "artifacts of a run": lambda rest, g: rest.actions.list_workflow_run_artifacts(*R, newest_finished_run(g)),
    "environments": lambda rest, _: rest.repos.get_all_environments(*R),
    "environment": lambda rest, _: rest.repos.get_environment(*R, "production"),
    "branch policies": lambda rest, _: rest.repos.list_deployment_branch_policies(*R, "production"),
    "environment secrets": lambda rest, _: rest.actions.list_environment_secrets(*R, "production"),
    "environment variables": lambda rest, _: rest.actions.list_environment_variables(*R, "production"),
    "repository secrets": lambda rest, _: rest.actions.list_repo_secrets(*R),
    "organisation secrets of the repository": lambda rest, _: rest.actions.list_repo_organization_secrets(*R),
    "organisation secrets": lambda rest, _: rest.actions.list_org_secrets("acme"),
    "variables": lambda rest, _: rest.actions.list_repo_variables(*R),
    "permissions": lambda rest, _: rest.actions.get_github_actions_permissions_repository(*R),
    "workflow permissions": lambda rest, _: rest.actions.get_github_actions_default_workflow_permissions_repository(*R),
    "branches": lambda rest, _: rest.repos.list_branches(*R),
    "rules of a branch": lambda rest, _: rest.repos.get_branch_rules(*R, "main"),
    "rulesets": lambda rest, _: rest.repos.get_repo_rulesets(*R),
    "ruleset": lambda rest, _: rest.repos.get_repo_ruleset(*R, 4_400_002),
    "branch": lambda rest, _: rest.repos.get_branch(*R, "main"),
    "directory": lambda rest, _: rest.repos.get_content(*R, ".github/workflows"),
    "file": lambda rest, _: rest.repos.get_content(*R, "README.md", ref="main"),
    "tree": lambda rest, _: rest.git.get_tree(*R, "main", recursive="1"),
    "blob": lambda rest, g: rest.git.get_blob(*R, first(g, f"{REPO}/contents/.github/workflows")["sha"]),
    "commit": lambda rest, g: rest.repos.get_commit(*R, head(g)),
    "compare": lambda rest, g: rest.repos.compare_commits(*R, f"topic/gears...{head(g)}"),
    "deployments": lambda rest, _: rest.repos.list_deployments(*R, environment="production", per_page=100),
    "deployment": lambda rest, g: rest.repos.get_deployment(*R, first(g, f"{REPO}/deployments")["id"]),
    "deployment statuses": lambda rest, g: rest.repos.list_deployment_statuses(
        *R, finished_deployment(g), per_page=STATES_IN_THE_DOCUMENT
    ),
    "releases": lambda rest, _: rest.repos.list_releases(*R),
    "rate limit": lambda rest, _: rest.rate_limit.get(),
}
MAY_BE_EMPTY = {"branch policies", "organisation secrets of the repository", "organisation secrets"}


def test_the_status_that_the_document_lacks_is_the_oldest_one(github: Standin) -> None:
    states = [s["state"] for s in github.get(f"{REPO}/deployments/{finished_deployment(github)}/statuses")]
    assert states == ["success", "in_progress", "queued", "waiting"]
    assert len(states) == STATES_IN_THE_DOCUMENT + 1


def unknown_fields(value: Any, at: str = "") -> set[str]:
    """Every field that no model knows, by its path."""
    if isinstance(value, list):
        return set().union(*(unknown_fields(item, at) for item in value))
    if not hasattr(value, "model_fields_set"):
        return set()
    found = {f"{at}{name}" for name in value.model_extra or {}}
    for name in type(value).model_fields:
        found |= unknown_fields(getattr(value, name), f"{at}{name}.")
    return found


@pytest.mark.parametrize("name", ANSWERS)
def test_the_generated_client_reads_it(client: Any, github: Standin, name: str) -> None:
    parsed = ANSWERS[name](client.rest(VERSION), github).parsed_data
    rows = len(parsed) if isinstance(parsed, list) else getattr(parsed, "total_count", 1)
    assert rows or name in MAY_BE_EMPTY, "an empty list proves nothing"
    assert {field.rpartition(".")[2] for field in unknown_fields(parsed)} <= UNKNOWN_FIELDS
