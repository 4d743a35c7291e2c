"""The same gate on every GitHub there is: both versions of the API, a server of one's own, a repository of a user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fixtures.app import App
from fixtures.facts.context import App as AppInContext
from fixtures.facts.context import Context, Source
from fixtures.secrets import Secret
from lab.github.world import MAIN_TOKEN_PERMISSIONS
from tests.lab.judging import RECORDED, alive, judged, world
from tests.lab.standin import ORG, REPO, TOKEN, Standin, started


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    with started(tmp_path_factory.mktemp("standin")) as standin:
        yield standin


@pytest.fixture
def github(process: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    process.order("POST", "reset")
    alive(process)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return process


def of_user(github: Standin) -> Context:
    """A user's repository: its runners are in no group."""
    runners = tuple(replace(runner, group=None) for runner in RECORDED.runners)
    return world(github, runners=runners)


def on_ghes(github: Standin, **changes: Any) -> Context:
    return world(github, github=replace(RECORDED.github, api_url=f"{github.url}/api/v3"), **changes)


@pytest.mark.parametrize("version", [date(2022, 11, 28), date(2026, 3, 10)], ids=str)
def test_both_versions_of_the_api(github: Standin, version: date) -> None:
    found, _ = judged(world(github, github=replace(RECORDED.github, api_url=github.url, api_version=version)))
    assert found.verdict.word == "deploy"


def test_a_server_that_does_not_serve_the_version(github: Standin) -> None:
    github.order("PUT", "kind", {"enterprise": "3.19.1"})
    newer = replace(RECORDED.github, api_url=f"{github.url}/api/v3", api_version=date(2026, 3, 10))
    found, looked = judged(world(github, github=newer))
    assert found.verdict.word == "unknown"
    assert {answer.status for answer in looked.answers.values()} == {410}


@pytest.mark.parametrize("user", [False, True], ids=["organization", "user"])
def test_a_server_of_ones_own(github: Standin, user: bool) -> None:
    """What it lacks falls back or does not apply; nothing of it is a crash, and what can be seen is judged."""
    github.order("PUT", "kind", {"enterprise": "3.19.1", "user": user})
    context = replace(of_user(github) if user else world(github), github=on_ghes(github).github)
    found, looked = judged(context)
    assert found.verdict.word == "deploy", (found.verdict.line, found.outcomes)
    assert found.outcomes["failover/group-guarded"] == ("not applicable" if user else "held")
    assert not any(path.startswith("/orgs/") for path in looked.answers) or not user
    github.fault("deploy-in-flight")
    assert judged(context)[0].outcomes["serialization/nothing-in-flight"] == "broken", "told by the runs alone"


def test_links_of_a_server_are_followed_below_its_prefix(github: Standin) -> None:
    github.order("PUT", "kind", {"enterprise": "3.19.1"})
    reply = github.call("GET", f"/api/v3{REPO}/deployments?per_page=10")
    assert reply.links["next"].startswith(f"{github.url}/api/v3/repositories/")
    assert reply.headers["X-GitHub-Enterprise-Version"] == "3.19.1"
    assert github.call("GET", f"{REPO}/deployments").status == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [(f"{REPO}/actions/concurrency_groups", 404), ("/rate_limit", 404), (f"{REPO}/actions/runs", 200)],
)
def test_what_a_server_lacks(github: Standin, path: str, status: int) -> None:
    github.order("PUT", "kind", {"enterprise": "3.19.1"})
    assert github.call("GET", f"/api/v3{path}").status == status
    assert "digest" not in github.get(f"/api/v3{REPO}/actions/artifacts?per_page=1")["artifacts"][0]
    github.order("POST", "tokens", {"token": "a-token-that-may-write", "permissions": {"actions": "write"}})
    body = {"ref": "main", "return_run_details": True}
    dispatches = f"/api/v3{REPO}/actions/workflows/deploy-production.yml/dispatches"
    writer = {"Authorization": "Bearer a-token-that-may-write"}
    assert github.call("POST", dispatches, body, writer).status == 422
    del body["return_run_details"]
    assert github.call("POST", dispatches, body, writer).status == 204


def test_a_repository_of_a_user(github: Standin) -> None:
    github.order("PUT", "kind", {"user": True})
    found, looked = judged(of_user(github))
    assert found.verdict.word == "deploy", (found.verdict.line, found.outcomes)
    assert found.outcomes["failover/group-guarded"] == "not applicable"
    assert not any("/orgs/" in path or "/organization-" in path for path in looked.answers)
    assert github.call("GET", f"{ORG}/actions/runners").status == 404
    assert github.get(REPO)["owner"]["type"] == "User"


def test_a_namesake_of_the_organization_is_no_runner_of_the_repository(github: Standin) -> None:
    """The context names no group, so the organization's runner of that name is a stranger, and blocks."""
    found, _ = judged(of_user(github))
    assert {"failover/choice-binds", "failover/strangers-excluded", "runner-health/registered"} <= found.those("broken")
    assert found.verdict.word == "hold"


def test_what_a_token_lacks_is_unknown_and_named(github: Standin) -> None:
    """Tokens are maps of permissions: this one reads all but one."""
    every = ("actions", "contents", "deployments", "environments", "secrets", "actions_variables", "checks",
             "administration", "organization_self_hosted_runners")  # fmt: skip
    for lost in every:
        granted = {name: "read" for name in every if name != lost}
        for mask in (False, True):
            token = f"without-{lost}-{mask}"
            github.order("POST", "tokens", {"token": token, "permissions": granted, "mask": mask})
            alive(github)  # eighteen looks on a busy machine outlast the one poll before them
            found, looked = judged(world(github), token)
            refused = {answer.headers.get("x-accepted-github-permissions") for answer in looked.answers.values()
                       if answer.status in (403, 404) and "concurrency_groups/production" not in str(answer.body)}  # fmt: skip
            assert not found.those("broken"), (lost, mask)
            if lost == "checks":  # nothing of the quick gate reads them
                assert found.verdict.word == "deploy"
                continue
            assert found.verdict.word == "unknown", (lost, mask)
            assert f"{lost}=read" in refused, (lost, mask)


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
).decode()


def as_app(github: Standin, key: Any = KEY, **more: Any) -> tuple[Context, App]:
    """The App that the context names, installed with what the gate needs to read."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    permissions = dict.fromkeys(MAIN_TOKEN_PERMISSIONS, "read")
    github.order("POST", "apps", {"id": 42, "public_key": public.decode(), "permissions": permissions, **more})
    named = replace(RECORDED.github, api_url=github.url, app=AppInContext(42, Source(env="KEY")))
    return world(github, github=named), App(42, Secret(PEM), "acme/widgets")


def test_an_app_looks_with_its_installations_token(github: Standin) -> None:
    found, looked = judged(*as_app(github))
    assert found.verdict.word == "deploy", (found.verdict.line, found.outcomes)
    assert found.outcomes["secret-masking/token-lasts"] == "held"
    assert "as App 42" in looked.asked_as
    assert not any("ghs_" in str(answer) for answer in looked.answers.values())


@pytest.mark.parametrize(
    ("key", "more"),
    [(rsa.generate_private_key(public_exponent=65537, key_size=2048), {}), (KEY, {"suspended": True})],
    ids=["another key", "suspended"],
)
def test_an_app_that_gets_no_token_clears_nothing(github: Standin, key: Any, more: dict[str, Any]) -> None:
    found, _ = judged(*as_app(github, key, **more))
    assert found.verdict.word == "unknown"
    assert not found.those("broken")


def test_an_app_that_may_write_is_told_so(github: Standin) -> None:
    wide = dict.fromkeys(MAIN_TOKEN_PERMISSIONS, "read") | {"actions": "write"}
    found, _ = judged(*as_app(github, permissions=wide))
    assert found.outcomes["secret-masking/token-lasts"] == "broken"


def test_a_read_only_token_cannot_write(github: Standin) -> None:
    for path in ("/actions/runs/1/cancel", "/actions/workflows/ci.yml/dispatches", "/actions/runs/1/rerun"):
        reply = github.call("POST", f"{REPO}{path}", {}, {"Authorization": f"Bearer {TOKEN}"})
        assert (reply.status, reply.headers["X-Accepted-GitHub-Permissions"]) == (403, "actions=write")
