"""The judgements over workflow files: for each a sample that breaks, a near twin that holds, and one that cannot be told."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.facts.context import Deploy, Job
from fixtures.facts.registrations import Registrations
from fixtures.facts.seen import NotApplicable, Unseen
from fixtures.facts.workflows import ProductionJob, Workflow, Workflows, strange_takers
from tests.worlds import (
    CHOSEN,
    DEPLOY,
    ROLLBACK,
    deploy_file,
    files,
    job_text,
    registration,
    registrations,
    runner,
    workflow,
    world,
)

WORLD = world()
APPROVED = WORLD.runners
OTHER = ".github/workflows/other.yml"


def only(file: Workflow) -> Workflows:
    return Workflows("main", (file,))


def production(file: Workflow) -> list[str]:
    return [job.because for job in only(file).production(WORLD) if job.job.id != "preflight"]


def job(on: Any = "push", **keys: Any) -> ProductionJob:
    """The one production job of a file."""
    (found,) = only(workflow({"deploy": job_text(**keys)}, on=on)).production(WORLD)
    return found


ELSEWHERE: dict[str, Any] = {"runs_on": "ubuntu-latest", "environment": None, "concurrency": None, "needs": None}


@pytest.mark.parametrize(
    ("keys", "because"),
    [
        ({"environment": "production"}, "it deploys to production"),
        ({"environment": "PRODUCTION"}, "it deploys to production"),
        ({"environment": {"name": "production", "deployment": False}}, "it deploys to production"),
        ({"environment": "${{ inputs.to }}"}, "its environment is '${{ inputs.to }}', which may be production"),
        ({"env": {"K": "${{ secrets.deploy_key }}"}}, "it reads DEPLOY_KEY"),
        ({"runs_on": CHOSEN}, "the preflight chooses its runner"),
        ({"runs_on": ["self-hosted", "PROD-1"]}, "it can run on prod-1"),
        ({"runs_on": "self-hosted"}, "it can run on prod-1"),
        (
            {"runs_on": "${{ matrix.on }}", "strategy": {"matrix": {"on": ["ubuntu-latest", "prod-2"]}}},
            "it can run on prod-2",
        ),
    ],
)
def test_what_touches_production(keys: dict[str, Any], because: str) -> None:
    assert production(workflow({"a": job_text(**{**ELSEWHERE, **keys})}, OTHER)) == [because]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"environment": "staging"},
        {"env": {"K": "${{ secrets.OTHER }}"}},
        {"runs_on": ["self-hosted", "build"]},
        {"runs_on": ["self-hosted", "prod-1", "gpu"]},
        {"runs_on": "${{ matrix.on }}", "strategy": {"matrix": {"on": ["ubuntu-latest", "build"]}}},
        {"runs_on": None, "uses": "./.github/workflows/deploy-production.yml"},
    ],
)
def test_what_does_not(keys: dict[str, Any]) -> None:
    assert production(workflow({"a": job_text(**{**ELSEWHERE, **keys})}, OTHER)) == []


@pytest.mark.parametrize("runs_on", ["${{ inputs.on }}", {"group": "production"}, ["self-hosted", "${{ vars.X }}"]])
def test_what_cannot_be_told(runs_on: Any) -> None:
    with pytest.raises(Unseen, match=r"whether .*other.yml:1 job a runs on a production runner") as why:
        production(workflow({"a": job_text(**{**ELSEWHERE, "runs_on": runs_on})}, OTHER))
    assert why.value.try_


def test_what_the_context_declares() -> None:
    also = world(deploy=Deploy(DEPLOY, "deploy", "production", (Job(OTHER, "a"),)))
    file = workflow({"a": job_text(**{**ELSEWHERE, "runs_on": "${{ inputs.on }}"})}, OTHER)
    assert [j.because for j in only(file).production(also)] == ["the context declares it"]
    assert only(file).undeclared(also) == [f"{DEPLOY} has no job deploy"]
    assert files(file).undeclared(also) == []
    assert files().undeclared(also) == [f"{OTHER} has no job a"]
    assert Workflows("main", ()).undeclared(WORLD) == [f"{DEPLOY} has no job deploy"]


@pytest.mark.parametrize(
    "concurrency",
    [
        "production",
        "PRODUCTION",
        {"group": "Production", "cancel-in-progress": False},
        {"group": "production", "queue": "max"},
    ],
)
def test_a_job_that_takes_the_lock(concurrency: Any) -> None:
    assert job(concurrency=concurrency).lock_fault("production") == ""


@pytest.mark.parametrize(
    ("concurrency", "says"),
    [
        (None, "takes no lock (the context declares it)"),
        ("prod", "takes 'prod' (the context declares it)"),
        ("production ", "takes 'production '"),
        ({"group": "production-eu"}, "takes 'production-eu'"),
    ],
)
def test_a_job_that_does_not(concurrency: Any, says: str) -> None:
    found = job(concurrency=concurrency).lock_fault("production")
    assert found.startswith(f"{DEPLOY}:1 job deploy ")
    assert says in found


@pytest.mark.parametrize(
    "group",
    [
        "production-${{ github.ref }}",
        "${{ github.workflow }}",
        "${{ 'production' }}",
        "${{ github.head_ref || github.run_id }}",
    ],
)
def test_a_lock_that_varies_is_unknown(group: str) -> None:
    with pytest.raises(Unseen, match="which lock") as why:
        job(concurrency=group).lock_fault("production")
    assert "'production'" in why.value.try_


def test_the_files_own_lock_is_the_jobs_too() -> None:
    file = workflow({"deploy": job_text(concurrency=None)}, concurrency="production")
    assert [j.lock_fault("production") for j in only(file).production(WORLD)] == [""]


def test_what_callers_hold_is_not_followed() -> None:
    assert job(on={"workflow_call": None}).lock_fault("production") == ""
    with pytest.raises(Unseen, match="what its callers hold is not followed"):
        job(on={"workflow_call": None}, concurrency=None).lock_fault("production")


CANCELS = {"group": "production", "cancel-in-progress": True}


@pytest.mark.parametrize(
    ("file", "cuts"),
    [
        (deploy_file(), 0),
        (deploy_file(concurrency=CANCELS), 1),
        (deploy_file(concurrency={"group": "own", "cancel-in-progress": True}), 1),
        (workflow({"a": job_text(**{**ELSEWHERE, "concurrency": {**CANCELS, "group": "PRODUCTION"}})}, OTHER), 1),
        (
            workflow(
                {"a": job_text(**{**ELSEWHERE, "concurrency": {**CANCELS, "group": "ci-${{ github.ref }}"}})}, OTHER
            ),
            0,
        ),
        (workflow({"deploy": job_text()}, concurrency={"group": "x", "cancel-in-progress": True}), 1),
        (deploy_file(concurrency={"group": "production", "cancel-in-progress": "${{ false }}"}), None),
    ],
)
def test_who_may_cut_a_deploy(file: Workflow, cuts: int | None) -> None:
    """Also a job that touches nothing, if it waits in production's own queue."""
    if cuts is None:
        with pytest.raises(Unseen, match="its cancel-in-progress is an expression"):
            only(file).cutters(WORLD)
        return
    found = only(file).cutters(WORLD)
    assert len([line for line in found if "preflight" not in line]) == cuts
    assert all(line.startswith(".github/workflows/") for line in found)


def test_an_expression_that_cancels_only_others_is_no_matter() -> None:
    file = workflow(
        {"a": job_text(**{**ELSEWHERE, "concurrency": {"group": "ci", "cancel-in-progress": "${{ true }}"}})}, OTHER
    )
    assert only(file).cutters(WORLD) == []


def test_who_could_take_a_production_job() -> None:
    jobs = only(deploy_file(runs_on=["self-hosted", "production"])).production(WORLD)
    rogue = registration("rogue", 66, group="Default")
    assert strange_takers(jobs, APPROVED, registrations()) == []
    assert [taker.id for _, taker in strange_takers(jobs, APPROVED, registrations(rogue))] == [66]
    assert [taker.id for _, taker in strange_takers(jobs, APPROVED[:1], registrations())] == [2], "no longer approved"


def test_the_preflights_choice_is_the_closed_set_of_approved_labels() -> None:
    jobs = only(deploy_file()).production(WORLD)
    near = registration("near", 7, labels=frozenset({"self-hosted", "production"}))
    assert strange_takers(jobs, APPROVED, registrations(near)) == []
    rogue = registration("rogue", 66, labels=frozenset({"self-hosted", "prod-2"}))
    assert [taker.id for _, taker in strange_takers(jobs, APPROVED, registrations(rogue))] == [66]


def test_a_namesake_in_another_group_is_a_stranger() -> None:
    jobs = only(deploy_file()).production(WORLD)
    assert len(strange_takers(jobs, APPROVED, Registrations((registration(group="Default"),)))) == 1
    assert len(strange_takers(jobs, APPROVED, Registrations((registration(group=None, scope="repository"),)))) == 1


def test_a_runner_that_an_expression_names_is_unknown() -> None:
    jobs = only(deploy_file(runs_on="${{ inputs.on }}")).production(WORLD)
    with pytest.raises(Unseen, match="which runner") as why:
        strange_takers(jobs, APPROVED, registrations())
    assert why.value.try_


def test_faults_and_files() -> None:
    broken = workflow({"a": {"steps": []}}, OTHER)
    found = files(broken)
    assert found.faults() == [f"{OTHER}: {broken.fault}"]
    assert files().faults() == []
    assert found.file(ROLLBACK) is found.files[1]
    assert found.file("none.yml") is None
    assert repr(found) == "3 workflow files at main"


def test_a_runner_that_is_not_approved_is_production_all_the_same() -> None:
    """Taking away an approval must not take its jobs out of sight."""
    lapsed = world(runners=(runner(), runner("prod-2", "secondary", approved=None)))
    file = workflow({"a": job_text(**{**ELSEWHERE, "runs_on": ["self-hosted", "prod-2"]})}, OTHER)
    assert [j.because for j in only(file).production(lapsed)] == ["it can run on prod-2"]


def test_over_nothing_nothing_is_claimed() -> None:
    """With nobody approved the preflight emits nothing, and with nobody registered nobody can take anything."""
    jobs = only(deploy_file()).production(WORLD)
    with pytest.raises(Unseen, match="none is approved, so the preflight emits nothing"):
        strange_takers(jobs, (), registrations())
    with pytest.raises(NotApplicable, match="no runner is registered"):
        strange_takers(jobs, APPROVED, Registrations(()))
