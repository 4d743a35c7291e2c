"""The stand-in answers to GitHub's own contract: a client generated from its OpenAPI document reads every answer.

Documented deviations: UNKNOWN_FIELDS and STATES_IN_THE_DOCUMENT, each with its reason.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import githubkit
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fixtures import draft
from fixtures.app import App
from fixtures.dispatch import Order
from fixtures.facts.context import Admits, Override
from fixtures.facts.seen import NotApplicable, Unseen
from fixtures.looks import LOOKS
from fixtures.secrets import Secret
from lab.github.router import by_name
from tests.inside import Inside, context, laid, run_of
from tests.lab.standin import ORG, REPO, TOKEN, Standin, started

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
WRITER = "a-token-that-may-write"


WRITES = {"actions": "write", "deployments": "write"}


def prepare(github: Standin) -> None:
    """A deploy that runs and one that waits, so that no list is empty where it matters; and who may write."""
    github.fault("deploy-in-flight")
    github.fault("lock-held-by-waiting-run")
    github.order("POST", "tokens", {"token": WRITER, "permissions": WRITES, "login": "acme-release-lead"})


def generated(github: Standin, token: str = TOKEN) -> Any:
    return githubkit.GitHub(token, base_url=github.url + "/", http_cache=False, auto_retry=False)


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    with started(tmp_path_factory.mktemp("standin")) as standin:
        yield standin


@pytest.fixture
def client(github: Standin) -> Any:
    github.order("POST", "reset")
    prepare(github)
    return generated(github)


def first(github: Standin, path: str, key: str = "") -> Any:
    rows = github.get(path)
    return (rows[key] if key else rows)[0]


def newest_finished_run(github: Standin) -> int:
    return int(
        first(github, f"{REPO}/actions/workflows/deploy-production.yml/runs?status=success", "workflow_runs")["id"]
    )


def waiting_run(github: Standin) -> int:
    return int(first(github, f"{REPO}/actions/runs?status=waiting", "workflow_runs")["id"])


def waiting_job(github: Standin) -> int:
    """A job's check run bears the job's own id."""
    return int(github.get(f"{REPO}/actions/runs/{waiting_run(github)}/jobs")["jobs"][-1]["id"])


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
    "protection rules of apps": lambda rest, _: rest.repos.get_all_deployment_protection_rules(
        owner="acme", repo="widgets", environment_name="production"
    ),
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
    "releases of the runner": lambda rest, _: rest.repos.list_releases("actions", "runner"),
    "rate limit": lambda rest, _: rest.rate_limit.get(),
    "whose token": lambda rest, _: rest.users.get_authenticated(),
    "annotations": lambda rest, g: rest.checks.list_annotations(*R, waiting_job(g)),
    "organisation variables of the repository": lambda rest, _: rest.actions.list_repo_organization_variables(*R),
}
ACTS: dict[str, Callable[[Any, Standin], Any]] = {
    "dispatch": lambda rest, _: rest.actions.create_workflow_dispatch(*R, "deploy-production.yml", ref="main"),
    "review": lambda rest, g: rest.actions.review_pending_deployments_for_run(
        *R, dispatched(g), environment_ids=[environment_id(g)], state="approved", comment=""
    ),
    "cancel": lambda rest, g: rest.actions.cancel_workflow_run(*R, dispatched(g)),
    "force-cancel": lambda rest, g: rest.actions.force_cancel_workflow_run(*R, dispatched(g)),
    "run again": lambda rest, g: rest.actions.re_run_workflow(*R, newest_finished_run(g)),
    "run again what failed": lambda rest, g: rest.actions.re_run_workflow_failed_jobs(*R, newest_finished_run(g)),
}
"""What changes something; asked with a token that may."""


def dispatched(github: Standin) -> int:
    """A deploy that waits for its approval, ordered by another than who approves it, with nothing else in its way."""
    github.order("DELETE", "fault")
    github.order("PUT", "outputs", {".github/workflows/preflight.yml": {"runs-on": ["self-hosted", "prod-runner-01"]}})
    github.order("POST", "tokens", {"token": "who-orders-deploys", "permissions": WRITES, "login": "acme-developer"})
    body = {"ref": "main", "return_run_details": True}
    writer = {"Authorization": "Bearer who-orders-deploys"}
    path = f"{REPO}/actions/workflows/deploy-production.yml/dispatches"
    return int(github.call("POST", path, body, writer).body["workflow_run_id"])


def environment_id(github: Standin) -> int:
    return int(github.get(f"{REPO}/environments")["environments"][0]["id"])


MAY_BE_EMPTY = {
    "protection rules of apps",
    "branch policies",
    "annotations",
    "organisation secrets of the repository",
    "organisation secrets",
}


def test_the_status_that_the_document_lacks_is_the_oldest_one(client: Any, github: Standin) -> None:
    states = [s["state"] for s in github.get(f"{REPO}/deployments/{finished_deployment(github)}/statuses")]
    assert states == ["success", "in_progress", "queued", "waiting"]
    assert len(states) == STATES_IN_THE_DOCUMENT + 1


def test_an_app_s_own_questions_answer_as_the_document_says(github: Standin) -> None:
    """What `fixtures/app.py` asks before it has a token: both, and there is no third."""
    github.order("POST", "reset")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    github.order("POST", "apps", {"id": 42, "public_key": public.decode(), "permissions": {"actions": "read"}})
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    own = generated(github, App(42, Secret(private.decode()), "acme/widgets").assertion(time.time()).reveal())
    installed = own.rest(VERSION).apps.get_repo_installation(*R).parsed_data
    granted = own.rest(VERSION).apps.create_installation_access_token(installed.id).parsed_data
    assert {field.rpartition(".")[2] for field in unknown_fields([installed, granted])} <= UNKNOWN_FIELDS
    assert github.call("GET", REPO, headers={"Authorization": f"Bearer {granted.token}"}).status == 200


class Routes:
    """Which of the stand-in's endpoints an address is."""

    def __init__(self) -> None:
        self._hub = laid()

    def of(self, method: str, address: str) -> str:
        path = by_name(urlsplit(address).path, self._hub.world)
        found = self._hub.router.find(method, path)
        assert found is not None, (method, address)
        return f"{method} {found.route.template}"


def asked_by_the_suite() -> dict[str, str]:
    """Every endpoint that a look, the doctor, the draft, an override or an order asks, by an address of it."""
    routes, hub = Routes(), laid("deploy-in-flight", "deploy-dropped", "job-stuck")
    world = context(override=Override("production"), admits=Admits(("acme/gears",)))
    ask = Inside(hub)
    for number in (0, hub.world.runs[-1].id):
        for name in LOOKS:
            with contextlib.suppress(Unseen, NotApplicable):
                LOOKS[name](ask, world, run_of(hub, number))
    hub.break_("branch-policy-unprotected", {})
    starred = Inside(hub)
    LOOKS["environment"](starred, world, run_of(hub))
    draft.look(starred, "acme/widgets")
    paths = {*ask.asked, *starred.asked, "/user", "/rate_limit"}
    found = {routes.of("GET", path): path for path in paths}
    order = Order("acme/widgets", "x/deploy-production.yml", "main", {})
    return found | {routes.of("POST", f"{order.path}/dispatches"): order.path}


def test_every_endpoint_that_the_suite_asks_is_read_by_the_generated_client(client: Any, github: Standin) -> None:
    """Which endpoints there are is not written down: the looks say it, and the client's own requests say what it read."""
    routes, read = Routes(), set[str]()
    for name, call in {**ANSWERS, **ACTS}.items():
        github.order("POST", "reset")
        prepare(github)
        token = WRITER if name in ACTS else TOKEN
        own = generated(github, token)  # kept: its namespaces do not keep it
        answer = call(own.rest(VERSION), github)
        read.add(routes.of(answer.raw_request.method, str(answer.raw_request.url)))
    asked = asked_by_the_suite()
    assert len(asked) > 30
    # A log is a redirect and plain text, which the generated client does not read: tests/fixtures/test_joblogs.py does.
    del asked["GET R/actions/jobs/{job}/logs"]
    assert {route: path for route, path in asked.items() if route not in read} == {}


@pytest.mark.parametrize("name", ACTS)
def test_what_changes_something_answers_as_the_document_says(github: Standin, name: str) -> None:
    github.order("POST", "reset")
    github.order("POST", "tokens", {"token": WRITER, "permissions": WRITES, "login": "acme-release-lead"})
    own = generated(github, WRITER)
    answer = ACTS[name](own.rest(VERSION), github)
    parsed = answer.parsed_data
    assert {field.rpartition(".")[2] for field in unknown_fields(parsed)} <= UNKNOWN_FIELDS


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
