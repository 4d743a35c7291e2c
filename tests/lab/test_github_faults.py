"""Each fault of the stand-in shows exactly where it says, nothing else changes, and healing takes it back."""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import pytest

from lab.fault import Fault
from lab.faults_github import FAULTS, WAYS, WORLD
from lab.github.mutate import MUTATIONS
from lab.github.transport import HUGE_BYTES, KINDS
from lab.github.world import fake_sha
from lab.world import Lab
from tests.lab.standin import ORG, REPO, TOKEN, Standin, moment, started

PREVIOUS = "the release before"
LAST_GOOD = fake_sha("commit 28")
WORKFLOWS = f"{REPO}/contents/.github/workflows"
WATCHED = {
    "runners": f"{REPO}/actions/runners",
    "org-runners": f"{ORG}/actions/runners",
    "groups": f"{ORG}/actions/runner-groups",
    "workflows": f"{REPO}/actions/workflows",
    "runs": f"{REPO}/actions/runs?per_page=100",
    "locks": f"{REPO}/actions/concurrency_groups",
    "artifacts": f"{REPO}/actions/artifacts?per_page=100",
    "environment": f"{REPO}/environments",
    "environment-secrets": f"{REPO}/environments/production/secrets",
    "secrets": f"{REPO}/actions/secrets",
    "protected": f"{REPO}/branches?protected=true",
    "deploy.yml": f"{WORKFLOWS}/deploy-production.yml",
    "rollback.yml": f"{WORKFLOWS}/rollback.yml",
    "files": WORKFLOWS,
    "deployments": f"{REPO}/deployments?per_page=100",
}
CHANGES = {
    "runner-unregistered": {"org-runners"},
    "labels-drifted": {"org-runners"},
    "runner-offline-at-github": {"org-runners"},
    "runner-flaps": {"org-runners"},
    "stranger-registered": {"runners"},
    "stranger-of-the-enterprise": {"groups"},
    "twin-labels": {"org-runners"},
    "secret-missing": {"environment-secrets"},
    "secret-also-at-repository": {"secrets"},
    "reviewers-removed": {"environment"},
    "self-review-allowed": {"environment"},
    "admins-bypass": {"environment"},
    "branch-policy-none": {"environment"},
    "branch-policy-star": {"environment"},
    "branch-policy-unprotected": {"environment"},
    "branch-policy-protected-but-none-protected": {"protected"},
    "lock-renamed": {"rollback.yml", "files", "protected"},
    "second-workflow-no-lock": {"files", "workflows", "protected"},
    "cancel-in-progress": {"deploy.yml", "files", "protected"},
    "deploy-in-flight": {"runs", "locks", "deployments", "org-runners"},
    "lock-held-by-waiting-run": {"runs", "locks", "deployments"},
    "standby-offline": {"org-runners"},
    "busy-mismatch": {"org-runners", "runs"},
    "label-only-primary": {"deploy.yml", "files", "protected"},
    "no-last-good": {"runs", PREVIOUS},
    "last-good-pruned": {"runs", PREVIOUS},
    "artifact-expired": {"artifacts"},
    "artifact-missing": {"artifacts"},
    "rollback-disabled": {"workflows"},
    "rollback-no-input": {"rollback.yml", "files", "protected"},
    "rollback-untold": {"rollback.yml", "files", "protected"},
    "slow-deploys": {"runs", "deployments", PREVIOUS},
}
"""What each fault of the world may change among WATCHED: `runs` shows their commits, `protected` main's head, and a
slow deploy had a file with a wider limit."""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    with started(tmp_path_factory.mktemp("standin")) as standin:
        yield standin


@pytest.fixture
def github(process: Standin) -> Standin:
    process.order("POST", "reset")
    alive(process)
    return process


def alive(github: Standin) -> None:
    for name in ("prod-runner-01", "prod-runner-02"):
        github.poll(name)


def watched(github: Standin) -> dict[str, Any]:
    alive(github)
    shown = {name: github.get(path) for name, path in WATCHED.items()}
    commit = github.call("GET", f"{REPO}/commits/{LAST_GOOD}")
    return shown | {PREVIOUS: (commit.status, commit.body)}


def inject(github: Standin, fault: Fault) -> None:
    fault.inject(cast(Lab, github))


def heal(github: Standin, fault: Fault) -> None:
    fault.heal(cast(Lab, github))


def test_every_fault_of_the_stand_in_is_told_and_every_told_one_exists() -> None:
    assert {fault.name for fault in WORLD} == set(MUTATIONS) == set(CHANGES)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    for fault in FAULTS:
        for check in fault.breaks | fault.unknown:
            assert re.fullmatch(r"[a-z-]+/[a-z0-9-]+(\[prod-runner-0[12]\])?", check), check
            of_a_runner = check.startswith(("runner-health/", "secret-masking/canary-masked"))
            assert of_a_runner == check.endswith("]"), check
        assert not fault.breaks & fault.unknown


@pytest.mark.parametrize("fault", WORLD, ids=lambda fault: fault.name)
def test_a_fault_shows_where_it_says_and_nowhere_else(github: Standin, fault: Fault) -> None:
    before = watched(github)
    inject(github, fault)
    during = watched(github)
    assert {name for name in before if before[name] != during[name]} == CHANGES[fault.name]
    heal(github, fault)
    heal(github, fault)
    assert watched(github) == before


def test_a_reset_heals_all_of_them_at_once(github: Standin) -> None:
    for fault in FAULTS:
        if fault.name != "runner-unregistered":
            inject(github, fault)
    github.order("POST", "reset")
    state = github.order("GET", "state")
    assert (state["world_faults"], state["transport_faults"]) == ([], {})
    shown = watched(github)
    assert shown["locks"]["total_count"] == 0
    assert all(not runner["busy"] for runner in shown["org-runners"]["runners"])


def test_healing_one_leaves_the_other(github: Standin) -> None:
    github.fault("admins-bypass")
    github.fault("reviewers-removed")
    github.order("DELETE", "fault/admins-bypass")
    environment = github.get(f"{REPO}/environments/production")
    assert not environment["can_admins_bypass"]
    assert [rule["type"] for rule in environment["protection_rules"]] == ["branch_policy"]


def test_a_flapping_runner_is_back_when_asked_again(github: Standin) -> None:
    github.fault("runner-flaps")
    states = [github.get(f"{ORG}/actions/runners?name=prod-runner-01")["runners"][0]["status"] for _ in range(4)]
    assert states == ["offline", "online"] * 2


def test_a_deploy_in_flight_holds_the_lock_on_the_standby(github: Standin) -> None:
    github.fault("deploy-in-flight")
    (run,) = github.get(f"{REPO}/actions/runs?status=in_progress")["workflow_runs"]
    job = github.get(f"{REPO}/actions/runs/{run['id']}/jobs")["jobs"][1]
    assert (job["status"], job["runner_name"], job["completed_at"]) == ("in_progress", "prod-runner-02", None)
    (member,) = github.get(f"{REPO}/actions/concurrency_groups/Production")["group_members"]
    assert (member["run_id"], member["job_id"], member["status"]) == (run["id"], job["id"], "in_progress")
    (group,) = github.get(f"{REPO}/actions/runs/{run['id']}/concurrency_groups")["concurrency_groups"]
    assert group["group_members"][0]["position"] == 0
    assert github.get(f"{REPO}/deployments?per_page=1")[0]["sha"] == run["head_sha"]


def test_a_waiting_deploy_has_no_runner_and_names_its_reviewers(github: Standin) -> None:
    github.fault("lock-held-by-waiting-run")
    (run,) = github.get(f"{REPO}/actions/runs?status=waiting")["workflow_runs"]
    job = github.get(f"{REPO}/actions/runs/{run['id']}/jobs")["jobs"][1]
    assert (job["runner_id"], job["runner_name"], job["started_at"]) == (None, None, job["created_at"])
    assert 2.9 < (time.time() - moment(run["created_at"]).timestamp()) / 3600 < 3.1
    (pending,) = github.get(f"{REPO}/actions/runs/{run['id']}/pending_deployments")
    assert pending["reviewers"][0]["reviewer"]["slug"] == "release-managers"
    assert github.get(f"{REPO}/actions/runs/{run['id']}/approvals") == []
    (member,) = github.get(f"{REPO}/actions/concurrency_groups/production")["group_members"]
    assert member["status"] == "in_progress"


def test_files_change_on_main_and_not_in_history(github: Standin) -> None:
    old = github.get(f"{REPO}/branches/main")["commit"]["sha"]
    path = ".github/workflows/deploy-production.yml"
    github.fault("cancel-in-progress")
    assert "cancel-in-progress: true" in github.text(path)
    assert "cancel-in-progress: false" in github.text(path, old)
    github.fault("label-only-primary")
    assert "runs-on: [self-hosted, prod-runner-01]\n" in github.text(path)
    github.fault("lock-renamed")
    assert "group: rollback\n" in github.text(".github/workflows/rollback.yml")
    github.fault("rollback-no-input")
    assert "workflow_dispatch:\n\npermissions" in github.text(".github/workflows/rollback.yml")
    assert github.get(f"{REPO}/compare/{old}...main")["status"] == "ahead"


def test_the_commit_is_404_or_422(github: Standin) -> None:
    sha = github.get(f"{REPO}/deployments")[1]["sha"]
    for fault, status in (("no-last-good", 404), ("last-good-pruned", 422)):
        github.order("DELETE", "fault")
        github.fault(fault)
        assert github.call("GET", f"{REPO}/commits/{sha}").status == status
        assert github.call("GET", f"{REPO}/compare/{sha}...main").status == 404


def test_slow_deploys_are_slow_in_their_jobs_and_still_disjoint(github: Standin) -> None:
    github.fault("slow-deploys")
    spans = []
    for run in github.get(f"{REPO}/actions/workflows/deploy-production.yml/runs")["workflow_runs"]:
        job = github.get(f"{REPO}/actions/runs/{run['id']}/jobs")["jobs"][-1]
        spans.append((moment(job["started_at"]), moment(job["completed_at"])))
    assert sum((end - start).total_seconds() > 600 for start, end in spans) == 6
    assert all(newer[0] > older[1] for newer, older in pairwise(spans))


# The way to GitHub


def test_faults_of_the_way_strike_the_named_endpoints_only_and_as_often_as_told(github: Standin) -> None:
    github.fault("hiccup", kind="status", status=502, endpoint=r"/actions/runners(\?|$)", times=2)
    path = f"{REPO}/actions/runners"
    assert github.call("GET", REPO).status == 200
    assert [github.call("GET", path).status for _ in range(3)] == [502, 502, 200]
    github.fault("status", status=500, endpoint="/repos/acme/widgets/deployments")
    linked = f"/repositories/{github_id(github)}/deployments?page=2"
    assert [github.call("GET", p).status for p in (linked, linked)] == [500, 500]


def github_id(github: Standin) -> int:
    return int(github.get(REPO)["id"])


def test_limits(github: Standin) -> None:
    github.fault("rate-limited", retry_after=7)
    reply = github.call("GET", REPO)
    assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
    github.fault("rate-limited")
    assert "Retry-After" not in github.call("GET", REPO).headers
    github.order("DELETE", "fault")
    github.fault("secondary-limit")
    reply = github.call("GET", REPO)
    assert reply.status == 403
    assert "secondary rate limit" in reply.body["message"]
    assert reply.headers["x-ratelimit-remaining"] != "0"
    github.order("DELETE", "fault")
    github.fault("primary-exhausted", reset_in=90)
    reply = github.call("GET", REPO)
    assert (reply.status, reply.headers["x-ratelimit-remaining"]) == (403, "0")
    assert 80 < int(reply.headers["x-ratelimit-reset"]) - time.time() < 100


def test_a_stall_never_answers(github: Standin) -> None:
    github.fault("stall", endpoint="/deployments")
    with pytest.raises(TimeoutError):
        github.call("GET", f"{REPO}/deployments", timeout=0.7)
    assert github.call("GET", REPO).status == 200


def test_slow_answers_late(github: Standin) -> None:
    github.fault("slow", seconds=0.6)
    began = time.monotonic()
    assert github.call("GET", REPO).status == 200
    assert 0.6 <= time.monotonic() - began < 2


def test_bodies_that_break_off(github: Standin) -> None:
    etag = github.call("GET", REPO).headers["ETag"]
    github.fault("truncated")
    with pytest.raises(http.client.IncompleteRead):
        github.call("GET", REPO, headers={"Authorization": f"Bearer {TOKEN}", "If-None-Match": etag})
    github.order("DELETE", "fault")
    github.fault("reset")
    with pytest.raises((ConnectionResetError, urllib.error.URLError)):
        github.call("GET", f"{REPO}/deployments?per_page=100")


def test_bodies_that_are_no_answer(github: Standin) -> None:
    seen = {}
    for kind in ("html", "wrong-shape", "empty-body", "huge"):
        github.fault(kind)
        seen[kind] = github.call("GET", REPO)
        github.order("DELETE", f"fault/{kind}")
    assert {reply.status for reply in seen.values()} == {200}
    assert seen["html"].headers["Content-Type"].startswith("text/html")
    assert "id" not in seen["wrong-shape"].body
    assert seen["empty-body"].data == b""
    assert len(seen["huge"].data) == HUGE_BYTES + 2


def status(github: Standin, path: str) -> int:
    """0 where the answer breaks off."""
    try:
        return github.call("GET", path).status
    except (http.client.IncompleteRead, ConnectionError, urllib.error.URLError):
        return 0


def test_named_faults_of_the_way(github: Standin) -> None:
    statuses = {}
    for fault in WAYS:
        if fault.name in ("api-stalls", "contents-truncated", "api-moved"):  # urllib would follow the last one
            continue
        inject(github, fault)
        paths = (REPO, f"{REPO}/actions/runners", f"{ORG}/actions/runners", f"{REPO}/actions/secrets")
        statuses[fault.name] = [status(github, path) for path in paths]
        heal(github, fault)
    assert statuses == {
        "api-resets": [0] * 4,
        "api-truncates": [0] * 4,
        "too-many-requests": [429] * 4,
        "secondary-limit": [403] * 4,
        "portal-answers": [200] * 4,
        "github-clock-ahead": [200] * 4,
        "version-refused": [410] * 4,
        "environments-cut": [200] * 4,
        "runners-kept-by-a-proxy": [200] * 4,
        "administration-masked": [200, 404, 200, 200],
        "actions-masked": [200] * 4,
        "api-down": [503] * 4,
        "token-revoked": [401] * 4,
        "rate-limit-used-up": [403] * 4,
        "proxy-page": [200] * 4,
        "permission-administration-lost": [200, 403, 200, 200],
        "permission-secrets-lost": [200, 200, 200, 403],
        "api-hiccup": [200, 502, 502, 200],
    }


def test_a_fault_that_makes_no_sense_is_refused_with_a_sentence(github: Standin) -> None:
    for name, params in (("nonsense", {}), ("permission-lost", {}), ("status", {"endpoint": "("})):
        reply = github.call("POST", f"/_lab/fault/{name}", params, {"X-Lab-Key": "lab-key"})
        assert reply.status == 422, json.dumps(params)
        assert len(reply.body["message"]) > 20
    assert github.call("DELETE", "/_lab/fault/status", None, {"X-Lab-Key": "lab-key"}).status == 404
    assert "stall" in KINDS
