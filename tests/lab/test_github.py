"""The GitHub stand-in keeps GitHub's manners, and its healthy world is one in which every promise holds."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import http.client
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.lab.standin import LAB_KEY, ORG, REPO, RUNNER_KEY, TOKEN, Standin, moment, started

DEPLOY_RUNS = f"{REPO}/actions/workflows/deploy-production.yml/runs"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    with started(tmp_path_factory.mktemp("standin")) as standin:
        yield standin


@pytest.fixture
def github(process: Standin) -> Standin:
    process.order("POST", "reset")
    return process


# Manners


@pytest.mark.parametrize("sent", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
def test_without_the_token_it_is_401(github: Standin, sent: dict[str, str]) -> None:
    reply = github.call("GET", REPO, headers=sent)
    assert (reply.status, reply.body["message"], reply.body["status"]) == (401, "Bad credentials", "401")


def test_the_older_word_token_is_taken_too(github: Standin) -> None:
    assert github.get(REPO, {"Authorization": f"token {TOKEN}"})["default_branch"] == "main"


def test_keys_of_the_lab_do_not_open_the_api_nor_the_token_the_lab(github: Standin) -> None:
    assert github.call("GET", REPO, headers={"Authorization": f"Bearer {LAB_KEY}"}).status == 401
    assert github.call("GET", "/_lab/state", headers={"Authorization": f"Bearer {TOKEN}"}).status == 401
    poll = "/_lab/runners/prod-runner-01/poll"
    assert github.call("POST", poll, {}, {"X-Lab-Key": LAB_KEY}).status == 401


@pytest.mark.parametrize("version", ["2022-11-28", "2026-03-10"])
def test_the_version_is_echoed(github: Standin, version: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "X-GitHub-Api-Version": version}
    assert github.call("GET", REPO, headers=headers).headers["x-github-api-version-selected"] == version


def test_an_unknown_version_is_410(github: Standin) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "X-GitHub-Api-Version": "2019-01-01"}
    assert github.call("GET", REPO, headers=headers).status == 410


def test_errors_have_the_shape_of_basic_error(github: Standin) -> None:
    for path in (f"{REPO}/nothing", "/repos/acme/other", "/orgs/other/actions/runners", f"{REPO}/actions/runs/x"):
        reply = github.call("GET", path)
        assert (reply.status, set(reply.body)) == (404, {"message", "documentation_url", "status"}), path
        assert reply.headers["Content-Type"] == "application/json; charset=utf-8"


def test_a_read_only_token_cannot_dispatch(github: Standin) -> None:
    reply = github.call("POST", f"{REPO}/actions/workflows/deploy-production.yml/dispatches", {"ref": "main"})
    assert (reply.status, reply.headers["X-Accepted-GitHub-Permissions"]) == (403, "actions=write")


@pytest.mark.parametrize(
    ("permission", "path"),
    [
        ("administration", f"{REPO}/actions/runners"),
        ("organization_self_hosted_runners", f"{ORG}/actions/runners"),
        ("actions", f"{REPO}/actions/runs"),
        ("contents", f"{REPO}/contents/README.md"),
        ("deployments", f"{REPO}/deployments"),
        ("environments", f"{REPO}/environments/production/secrets"),
        ("secrets", f"{REPO}/actions/secrets"),
        ("actions_variables", f"{REPO}/actions/variables"),
    ],
)
def test_a_lost_permission_is_named(github: Standin, permission: str, path: str) -> None:
    assert github.call("GET", path).status == 200
    github.fault("permission-lost", permission=permission)
    reply = github.call("GET", path)
    assert reply.status == 403
    assert reply.body["message"] == "Resource not accessible by personal access token"
    assert reply.headers["X-Accepted-GitHub-Permissions"] == f"{permission}=read"
    assert github.call("GET", REPO).status == 200
    github.fault("permission-lost", permission=permission, mask=True)
    assert github.call("GET", path).status == 404


def test_without_metadata_the_private_repository_is_not_there(github: Standin) -> None:
    github.fault("permission-lost", permission="metadata")
    assert github.call("GET", REPO).status == github.call("GET", f"{REPO}/actions/runs").status == 404


def test_pages_are_linked_by_id_and_the_links_work(github: Standin) -> None:
    first = github.call("GET", f"{DEPLOY_RUNS}?per_page=8&event=push")
    assert set(first.links) == {"next", "last"}
    assert "/repositories/" in first.links["next"]
    assert "event=push" in first.links["next"]
    rows = github.all(f"{DEPLOY_RUNS}?per_page=8&event=push", "workflow_runs")
    assert len(rows) == len({row["id"] for row in rows}) == first.body["total_count"] == 20
    assert "next" not in github.call("GET", first.links["last"]).links
    assert len(github.get(f"{REPO}/deployments?per_page=1000")) == 31
    assert len(github.get(f"{REPO}/deployments")) == 30
    org = github.call("GET", f"{ORG}/actions/runners?per_page=1").links["next"]
    assert "/organizations/" in org
    assert github.get(org)["runners"][0]["name"] == "prod-runner-02"


def test_concurrency_groups_are_paged_by_cursor(github: Standin) -> None:
    github.fault("deploy-in-flight")
    reply = github.call("GET", f"{REPO}/actions/concurrency_groups?per_page=1")
    assert [group["group_name"] for group in reply.body["concurrency_groups"]] == ["production"]
    assert github.get(f"{REPO}/actions/concurrency_groups?after=production")["concurrency_groups"] == []


def test_an_unchanged_answer_is_304_and_costs_nothing(github: Standin) -> None:
    first = github.call("GET", f"{REPO}/environments")
    assert first.headers["ETag"].startswith('W/"')
    headers = {"Authorization": f"Bearer {TOKEN}", "If-None-Match": first.headers["ETag"]}
    second = github.call("GET", f"{REPO}/environments", headers=headers)
    assert (second.status, second.data) == (304, b"")
    assert second.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"] == "4999"
    github.fault("reviewers-removed")
    assert github.call("GET", f"{REPO}/environments", headers=headers).status == 200


def test_the_rate_limit_counts_down_and_can_be_asked_for_free(github: Standin) -> None:
    github.get(REPO)
    core = github.get("/rate_limit")["resources"]["core"]
    assert core == github.get("/rate_limit")["resources"]["core"]
    assert (core["limit"], core["remaining"], core["used"]) == (5000, 4999, 1)


def test_the_date_is_true(github: Standin) -> None:
    stamp = email.utils.parsedate_to_datetime(github.call("GET", REPO).headers["Date"])
    assert abs((datetime.now(UTC) - stamp).total_seconds()) < 2


def test_a_connection_is_kept_and_a_head_has_no_body(github: Standin) -> None:
    parts = urlsplit(github.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    sockets = set()
    for method in ("GET", "HEAD", "GET"):
        connection.request(method, REPO, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, method == "GET")
        sockets.add(connection.sock.getsockname() if connection.sock else None)
    connection.close()
    assert len(sockets) == 1


# The healthy world


def jobs_of_production(github: Standin) -> list[dict[str, Any]]:
    runs = github.all(f"{REPO}/actions/runs?per_page=100", "workflow_runs")
    jobs = [job for run in runs for job in github.all(f"{REPO}/actions/runs/{run['id']}/jobs?filter=all", "jobs")]
    return [job for job in jobs if job["name"] in ("deploy", "rollback") and job["runner_name"]]


def test_production_jobs_never_overlapped(github: Standin) -> None:
    jobs = sorted(jobs_of_production(github), key=lambda job: moment(job["started_at"]))
    assert len(jobs) == 31
    for earlier, later in pairwise(jobs):
        assert moment(earlier["completed_at"]) < moment(later["started_at"])
    for job in jobs:
        assert job["runner_group_name"] == "production"
        assert job["labels"] == ["self-hosted", job["runner_name"]]
        assert moment(job["created_at"]) <= moment(job["started_at"]) < moment(job["completed_at"]) < datetime.now(UTC)
        steps = [step for step in job["steps"] if step["started_at"]]
        assert all(moment(a["completed_at"]) <= moment(b["started_at"]) for a, b in pairwise(steps))
    took = [moment(j["completed_at"]) - moment(j["started_at"]) for j in jobs if j["name"] == "deploy"]
    assert timedelta(seconds=200) <= min(took) <= max(took) <= timedelta(seconds=420)
    assert {job["runner_name"] for job in jobs} == {"prod-runner-01", "prod-runner-02"}


def test_thirty_deploys_in_28_days(github: Standin) -> None:
    since = (datetime.now(UTC) - timedelta(days=28)).strftime("%Y-%m-%dT%H:%M:%SZ")
    runs = github.all(f"{DEPLOY_RUNS}?created=>={since}&status=completed", "workflow_runs")
    assert len(runs) == 30
    assert [run["id"] for run in runs] == sorted((run["id"] for run in runs), reverse=True)
    assert sorted(run["conclusion"] for run in runs).count("failure") == 1
    twice = [run for run in runs if run["run_attempt"] == 2]
    assert len(twice) == 2
    for run in twice:
        assert moment(run["created_at"]) < moment(run["run_started_at"])
        assert github.get(f"{REPO}/actions/runs/{run['id']}/attempts/1")["conclusion"] == "failure"
        assert len(github.get(f"{REPO}/actions/runs/{run['id']}/jobs?filter=latest")["jobs"]) == 2
        assert len(github.get(f"{REPO}/actions/runs/{run['id']}/jobs?filter=all")["jobs"]) == 4
    middle = runs[15]["created_at"]
    older = github.get(f"{DEPLOY_RUNS}?created=<={middle}")["total_count"]
    newer = github.get(f"{DEPLOY_RUNS}?created={middle}..*")["total_count"]
    assert (older, newer) == (15, 16)


def test_each_deployment_leads_to_its_job_commit_and_artifact(github: Standin) -> None:
    jobs = {job["html_url"]: job for job in jobs_of_production(github)}
    names = {a["name"]: a for a in github.all(f"{REPO}/actions/artifacts?per_page=100", "artifacts")}
    deployments = github.all(f"{REPO}/deployments?environment=production&per_page=100")
    assert len(deployments) == 31
    for deployment in deployments:
        assert deployment["performed_via_github_app"]["slug"] == "github-actions"
        states = github.get(deployment["statuses_url"])
        assert [state["state"] for state in states][1:] == ["in_progress", "queued", "waiting"]
        job = jobs.pop(states[0]["log_url"])
        assert states[0]["state"] == job["conclusion"]
        assert states[0]["created_at"] == job["completed_at"]
        assert states[1]["created_at"] == job["started_at"]
        assert github.get(f"{REPO}/commits/{deployment['sha']}")["sha"] == deployment["sha"]
        if states[0]["state"] == "success":
            kept = names[f"widgets-{deployment['sha']}"]
            assert kept["digest"].startswith("sha256:")
            assert not kept["expired"]
            assert moment(kept["expires_at"]) - moment(kept["created_at"]) == timedelta(days=90)
    assert not jobs


def test_the_lock_is_free_and_every_deploy_took_it(github: Standin) -> None:
    assert github.get(f"{REPO}/actions/concurrency_groups")["total_count"] == 0
    assert github.call("GET", f"{REPO}/actions/concurrency_groups/production").status == 404
    for run in github.get(f"{DEPLOY_RUNS}?per_page=3")["workflow_runs"]:
        groups = github.get(f"{REPO}/actions/runs/{run['id']}/concurrency_groups")["concurrency_groups"]
        assert [(group["group_name"], group["group_members"]) for group in groups] == [("production", [])]
        approvals = github.get(f"{REPO}/actions/runs/{run['id']}/approvals")
        assert approvals[0]["user"]["id"] != run["actor"]["id"]


def test_nothing_is_in_progress(github: Standin) -> None:
    for status in ("in_progress", "queued", "waiting", "pending", "requested"):
        assert github.get(f"{REPO}/actions/runs?status={status}")["total_count"] == 0
    assert github.get(f"{REPO}/actions/workflows/ci.yml/runs")["total_count"] == 8


def test_runners_stand_where_they_are_said_to(github: Standin) -> None:
    groups = {
        g["name"]: g for g in github.get(f"{ORG}/actions/runner-groups?visible_to_repository=widgets")["runner_groups"]
    }
    assert groups["production"]["visibility"] == "selected"
    assert not any(group["allows_public_repositories"] for group in groups.values())
    base = f"{ORG}/actions/runner-groups/{groups['production']['id']}"
    members = github.get(f"{base}/runners")["runners"]
    assert [runner["name"] for runner in members] == ["prod-runner-01", "prod-runner-02"]
    assert [repo["full_name"] for repo in github.get(f"{base}/repositories")["repositories"]] == ["acme/widgets"]
    labels = {label["name"]: label["type"] for label in members[0]["labels"]}
    assert labels == {
        "self-hosted": "read-only", "Linux": "read-only", "X64": "read-only",
        "production": "custom", "prod-runner-01": "custom",
    }  # fmt: skip
    assert [r["name"] for r in github.get(f"{REPO}/actions/runners")["runners"]] == ["build-runner-01"]
    assert github.get(f"{ORG}/actions/runners?name=prod-runner-02")["total_count"] == 1


def test_files_are_the_real_ones_under_git_s_own_names(github: Standin) -> None:
    root = Path(__file__).resolve().parents[2] / "lab" / "repository"
    listing = github.get(f"{REPO}/contents/.github/workflows")
    names = {"ci.yml", "deploy-production.yml", "nightly.yml", "preflight.yml", "rollback.yml", "secret-canary.yml"}
    names |= {"rehearsal.yml", "rehearsal-lock.yml", "rehearsal-rollback.yml"}
    assert {row["name"] for row in listing} == names
    for row in listing:
        # The canaries are the project's own.
        own = "canary" in row["name"] or "rehearsal" in row["name"]
        real = ((root.parents[1] if own else root) / row["path"]).read_bytes()
        assert base64.b64decode(github.get(row["url"])["content"]) == real
        assert base64.b64decode(github.get(row["git_url"])["content"]) == real
        assert row["sha"] == hashlib.sha1(b"blob %d\0" % len(real) + real).hexdigest()
    tree = github.get(f"{REPO}/git/trees/main?recursive=1")
    assert {line["path"] for line in tree["tree"]} > {row["path"] for row in listing}
    head = github.get(f"{REPO}/branches/main")["commit"]
    assert head["commit"]["tree"]["sha"] == tree["sha"]


def test_git_gives_the_tree_the_same_name(github: Standin, tmp_path: Path) -> None:
    for line in github.get(f"{REPO}/git/trees/main?recursive=1")["tree"]:
        path = tmp_path / line["path"]
        if line["type"] == "tree":
            path.mkdir()
        else:
            path.write_bytes(base64.b64decode(github.get(line["url"])["content"]))
            path.chmod(0o755 if line["mode"] == "100755" else 0o644)
    run = ["git", "-c", "core.fileMode=true", "-c", "core.autocrlf=false"]
    for words in (["init", "-q", "."], ["add", "-A", "."]):
        subprocess.run([*run, *words], cwd=tmp_path, check=True)
    made = subprocess.run([*run, "write-tree"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()
    assert made == github.get(f"{REPO}/git/trees/main")["sha"]


def test_comparisons_follow_the_line(github: Standin) -> None:
    old, new = (github.get(f"{REPO}/deployments?per_page=3")[at]["sha"] for at in (2, 0))
    ahead = github.get(f"{REPO}/compare/{old}...{new}")
    behind = github.get(f"{REPO}/compare/{new}...{old}")
    assert (ahead["status"], ahead["ahead_by"], behind["status"], behind["behind_by"]) == ("ahead", 2, "behind", 2)
    assert github.get(f"{REPO}/compare/main...topic%2Fgears")["status"] == "diverged"


# Runners live and die


def test_a_poll_makes_online_and_silence_offline(github: Standin) -> None:
    def status() -> str:
        found = github.runner("prod-runner-01")
        assert found is not None
        return str(found["status"])

    assert github.poll("prod-runner-01", "2.335.1") == 200
    assert status() == "online"
    assert (github.runner("prod-runner-01") or {})["version"] == "2.335.1"
    time.sleep(4)
    assert status() == "online"
    time.sleep(2.2)
    assert status() == "offline"
    assert (github.runner("build-runner-01") or {})["status"] == "online"


def test_a_runner_that_is_not_registered_cannot_poll(github: Standin) -> None:
    assert github.poll("nobody") == 404


def test_strangers_come_and_go(github: Standin) -> None:
    wish = {"name": "guest", "labels": ["self-hosted", "gpu"], "group": "production", "always_online": True}
    github.order("POST", "runners", wish)
    github.order("POST", "runners", wish)
    assert github.get(f"{ORG}/actions/runners?name=guest")["total_count"] == 1
    assert github.get(f"{ORG}/actions/runners?name=guest")["runners"][0]["status"] == "online"
    github.order("DELETE", "runners/guest")
    assert github.runner("guest") is None
    reply = github.call("POST", "/_lab/runners", {"name": "x", "group": "nowhere"}, {"X-Lab-Key": LAB_KEY})
    assert (reply.status, reply.body["message"]) == (422, "no runner group is called nowhere")


def test_polls_outlive_a_reset_and_do_not_wait_for_github(github: Standin) -> None:
    github.poll("prod-runner-02")
    github.order("POST", "reset")
    assert (github.runner("prod-runner-02") or {})["status"] == "online"
    github.fault("stall")
    assert github.poll("prod-runner-02") == 200
    assert RUNNER_KEY not in str(github.order("GET", "state"))
