"""Which jobs can change production, and why; and who could take them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fixtures.facts.context import Also, Deploy, Selector
from fixtures.facts.registrations import Registrations
from fixtures.facts.seen import NotApplicable, Unseen
from fixtures.facts.workflows import ProductionJob, Workflow, Workflows, strange_takers
from tests.worlds import (
    CHOSEN,
    DEPLOY,
    PREFLIGHT,
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
ELSEWHERE: dict[str, Any] = {"runs_on": "ubuntu-latest", "environment": None, "concurrency": None, "needs": None}


def only(*some: Workflow) -> Workflows:
    return Workflows("main", some)


def production(*some: Workflow) -> list[ProductionJob]:
    return [job for job in only(*some).production(WORLD) if job.job.id != "preflight"]


@pytest.mark.parametrize(
    ("keys", "because"),
    [
        ({"environment": "production"}, "it deploys to production"),
        ({"environment": "PRODUCTION"}, "it deploys to production"),
        ({"environment": {"name": "production", "deployment": False}}, "it deploys to production"),
        (
            {"environment": "${{ github.event.x }}"},
            "its environment is '${{ github.event.x }}', which may be production",
        ),
        ({"env": {"K": "${{ secrets.deploy_key }}"}}, "it reads DEPLOY_KEY"),
        ({"runs_on": CHOSEN, "needs": "preflight"}, "the preflight chooses its runner"),
        ({"runs_on": ["self-hosted", "PROD-1"]}, "it can run on prod-1"),
        ({"runs_on": "self-hosted"}, "it can run on prod-1"),
        (
            {"runs_on": "${{ matrix.on }}", "strategy": {"matrix": {"on": ["ubuntu-latest", "prod-2"]}}},
            "it can run on prod-2",
        ),
        (
            {"runs_on": "${{ matrix.on }}", "strategy": {"matrix": {"include": [{"on": "prod-2"}]}}},
            "it can run on prod-2",
        ),
    ],
)
def test_what_touches_production(keys: dict[str, Any], because: str) -> None:
    (found,) = production(workflow({"a": job_text(**{**ELSEWHERE, **keys})}, OTHER))
    assert found.because.startswith(because)
    assert found.sure


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"environment": "staging"},
        {"environment": "staging", "env": {"K": "${{ secrets.DEPLOY_KEY }}"}},
        {"env": {"K": "${{ secrets.OTHER }}"}},
        {"runs_on": ["self-hosted", "build"]},
        {"runs_on": ["self-hosted", "prod-1", "gpu"]},
        {"runs_on": "${{ matrix.on }}", "strategy": {"matrix": {"on": ["ubuntu-latest", "build"]}}},
        {"runs_on": {"group": "builders"}},
        {"environment": "production", "if": False},
        {"environment": "${{ github.event_name == 'schedule' && 'production' || 'staging' }}"},
    ],
)
def test_what_does_not(keys: dict[str, Any]) -> None:
    assert production(workflow({"a": job_text(**{**ELSEWHERE, **keys})}, OTHER)) == []


@pytest.mark.parametrize(
    "runs_on", ["${{ needs.x.outputs.on }}", "${{ inputs.on }}", ["self-hosted", "${{ vars.X }}"], "${{ matrix.none }}"]
)
def test_what_cannot_be_told_is_not_sure(runs_on: Any) -> None:
    (found,) = production(workflow({"a": job_text(**{**ELSEWHERE, "runs_on": runs_on})}, OTHER))
    assert not found.sure
    assert found.because.startswith("it may run on a production runner")
    with pytest.raises(Unseen, match="which runner") as why:
        found.routes(APPROVED)
    assert why.value.try_


def test_a_group_is_the_runners_own() -> None:
    grouped = world(runners=(runner(group="production"), runner("prod-2", "secondary", group="production")))
    for group in ("production", "PRODUCTION", "org/production"):
        file = workflow({"a": job_text(**{**ELSEWHERE, "runs_on": {"group": group}})}, OTHER)
        assert [j.why for j in only(file).production(grouped) if j.job.id == "a"] == ["group"]


def test_what_the_context_declares() -> None:
    also = world(deploy=Deploy(DEPLOY, "deploy", "production", (Also(OTHER, "a"),)))
    file = workflow({"a": job_text(**{**ELSEWHERE, "runs_on": "${{ inputs.on }}"})}, OTHER)
    assert [j.because for j in only(file).production(also) if j.job.id == "a"] == ["the context declares it"]
    assert only(file).undeclared(also) == [f"{DEPLOY} has no job deploy"]
    assert files(file).undeclared(also) == []
    assert files().undeclared(also) == [f"{OTHER} has no job a"]
    assert Workflows("main", ()).undeclared(WORLD) == [f"{DEPLOY} has no job deploy"]


CALLED = ".github/workflows/called.yml"


def called(jobs: dict[str, Any], **inputs: Any) -> Workflow:
    return workflow(jobs, CALLED, {"workflow_call": {"inputs": inputs}})


def test_a_called_workflow_is_judged_by_what_its_callers_give() -> None:
    inner = called({"ship": job_text(**{**ELSEWHERE, "environment": "${{ inputs.to }}"})}, to={"type": "string"})
    for to, count in (("production", 1), ("staging", 0)):
        caller = workflow({"go": {"uses": f"./{CALLED}", "with": {"to": to}}}, OTHER)
        found = [job for job in production(caller, inner) if job.why == "environment"]
        assert len(found) == count
        assert all(job.entry.path == OTHER and "called by" in job.place for job in found)


def test_a_declared_call_means_the_jobs_below_it() -> None:
    inner = called({"build": job_text(**ELSEWHERE), "ship": job_text(**{**ELSEWHERE, "environment": "production"})})
    caller = workflow({"deploy": {"uses": f"./{CALLED}"}})
    assert [job.job.id for job in production(caller, inner)] == ["ship"]
    plain = called({"ship": job_text(**ELSEWHERE)})
    assert [(job.job.id, job.because) for job in production(caller, plain)] == [
        ("ship", "the context declares its caller")
    ]


def test_nothing_declared_that_can_run_is_unknown() -> None:
    assert only(deploy_file()).deploys(WORLD)
    for some in ((), (deploy_file(**{"if": "false"}),), (workflow({"other": job_text()}),)):
        with pytest.raises(Unseen, match="the deploy job"):
            only(*some).deploys(WORLD)


def test_who_could_take_a_production_job() -> None:
    jobs = only(deploy_file(runs_on=["self-hosted", "production"])).production(WORLD)
    rogue = registration("rogue", 66, group="Default")
    assert strange_takers(jobs, APPROVED, registrations()) == []
    assert [taker.id for _, taker in strange_takers(jobs, APPROVED, registrations(rogue))] == [66]
    assert [taker.id for _, taker in strange_takers(jobs, APPROVED[:1], registrations())] == [2], "no longer approved"
    with pytest.raises(NotApplicable):
        strange_takers(jobs, APPROVED, Registrations(()))


def test_a_group_keeps_out_who_is_not_in_it() -> None:
    jobs = only(deploy_file(runs_on={"group": "production", "labels": "self-hosted"})).production(WORLD)
    inside = registration("rogue", 66, group="production")
    outside = registration("stray", 67, group="Default")
    assert {taker.id for _, taker in strange_takers(jobs, (), registrations(inside, outside))} >= {66}
    assert 67 not in {taker.id for _, taker in strange_takers(jobs, (), registrations(inside, outside))}


def test_the_preflights_choice_is_the_closed_set_of_approved_labels() -> None:
    jobs = only(deploy_file()).production(WORLD)
    near = registration("near", 7, labels=frozenset({"self-hosted", "production"}))
    assert strange_takers(jobs, APPROVED, registrations(near)) == []
    rogue = registration("rogue", 66, labels=frozenset({"self-hosted", "prod-2"}))
    assert [taker.id for _, taker in strange_takers(jobs, APPROVED, registrations(rogue))] == [66]
    with pytest.raises(Unseen, match="none is approved"):
        strange_takers(jobs, (), registrations())


def test_a_namesake_in_another_group_is_a_stranger() -> None:
    jobs = only(deploy_file()).production(WORLD)
    assert len(strange_takers(jobs, APPROVED, Registrations((registration(group="Default"),)))) == 1
    assert len(strange_takers(jobs, APPROVED, Registrations((registration(group=None, scope="repository"),)))) == 1


def chosen(runs_on: Any, **more: Any) -> bool:
    context = replace(WORLD, **more)
    (found,) = [j for j in only(deploy_file(runs_on=runs_on)).production(context) if j.job.id == "deploy"]
    return all(way.routes.chosen and not way.routes.known and not way.routes.unknown for way in found.ways)


@pytest.mark.parametrize(
    "runs_on",
    [
        CHOSEN,
        "  ${{fromJSON( needs.preflight.outputs.runs-on )}}\n".strip(),
        "${{ fromJson(needs.preflight.outputs.Runs-On) }}",
        "${{ fromJSON(needs['preflight'].outputs['runs-on']) }}",
    ],
)
def test_the_preflights_own_choice(runs_on: str) -> None:
    assert chosen(runs_on)


@pytest.mark.parametrize(
    "runs_on",
    [
        "${{ fromJSON(needs.preflight.outputs.runner) }}",
        "${{ fromJSON(needs.other.outputs.runs-on) }}",
        "${{ needs.preflight.outputs.runs-on || 'self-hosted' }}",
        "x${{ needs.preflight.outputs.runs-on }}",
        "${{ fromJSON(needs.preflight.outputs.runs-on) }}-x",
        "${{ format('{0}', needs.preflight.outputs.runs-on) }}",
        ["${{ needs.preflight.outputs.runs-on }}"],
        {"group": "${{ needs.preflight.outputs.runs-on }}"},
        "preflight",
    ],
)
def test_what_only_looks_like_the_preflights_choice(runs_on: Any) -> None:
    assert not chosen(runs_on)


def test_a_selector_is_pinned() -> None:
    """Another file, or another output, is not the one that the context names."""
    sha = "owner/suite/.github/workflows/preflight.yml@" + "a" * 40
    assert not chosen(CHOSEN, selectors=(Selector(sha),))
    assert not chosen(CHOSEN, selectors=())
    assert not chosen(CHOSEN, selectors=(Selector(PREFLIGHT, "labels"),))
    assert chosen(CHOSEN.replace("runs-on", "labels"), selectors=(Selector(PREFLIGHT, "Labels"),))


def test_faults_and_files() -> None:
    broken = workflow({"a": {"steps": []}}, OTHER)
    found = files(broken)
    assert f"{OTHER}: {broken.fault}" in found.faults(WORLD)
    assert found.file(ROLLBACK) is found.files[1]
    assert found.file("none.yml") is None
    assert repr(found) == "3 workflow files at main"


def test_a_call_of_a_file_that_is_not_there_is_a_fault() -> None:
    file = workflow({"a": {"uses": "./.github/workflows/gone.yml"}}, OTHER)
    assert any("there is no ./.github/workflows/gone.yml" in fault for fault in only(file).faults(WORLD))


def test_a_runner_that_is_not_approved_is_production_all_the_same() -> None:
    """Taking away an approval must not take its jobs out of sight."""
    lapsed = world(runners=(runner(), runner("prod-2", "secondary", approved=None)))
    file = workflow({"a": job_text(**{**ELSEWHERE, "runs_on": ["self-hosted", "prod-2"]})}, OTHER)
    (found,) = [job for job in only(file).production(lapsed) if job.job.id == "a"]
    assert found.because.startswith("it can run on prod-2")
