"""The stand-in runs workflows: dispatch, needs, locks, approvals, the queue for runners, and what each leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.agent.expressions import BadExpression, condition, text, value, whole
from lab.github import concurrency
from lab.github.concurrency import Block, Member
from lab.github.hub import Hub
from lab.github.router import Refused
from lab.github.workflowfile import BadFile, read
from lab.github.world import Attempt, Job, Run, Workflow, World
from tests.inside import laid
from tests.lab.standin import REPO, RUNNER_KEY, Standin, started

WRITER = "a-token-that-may-write"
PREFLIGHT = ".github/workflows/preflight.yml"
CHOSEN = {"runs-on": ["self-hosted", "prod-runner-01"], "runner": "prod-runner-01", "verdict": "deploy"}

# One group


def bare(number: int, world: World) -> Member:
    run = Run(number, "x.yml", number, "push", "main", "sha", "x", "me", world.now, [])
    job = Job(1000 + number, number, 1, "deploy", "queued", None, world.now, world.now, None, [])
    run.attempts.append(Attempt(1, "queued", None, world.now, world.now, [job]))
    world.runs.append(run)
    return Member(run, job)


NAMES = st.sampled_from(["production", "Production", "staging"])
BLOCKS = st.builds(Block, NAMES, st.just(False), st.sampled_from(["single", "max"])) | st.builds(
    Block, NAMES, st.just(True)
)


@given(st.lists(BLOCKS | st.integers(0, 30), max_size=40))
def test_one_holds_and_the_others_wait_in_their_order(acts: list[Any]) -> None:
    """Against a queue written out: a list a group, its first entry the holder."""
    world = World("acme", "widgets", laid().laid, laid().laid)
    lists: dict[str, list[int]] = {}
    everyone: dict[int, Member] = {}
    for number, act in enumerate(acts):
        if isinstance(act, Block):
            member = everyone[number] = bare(number, world)
            gone = {out.member.run.id for out in concurrency.ask(world, member, act)}
            line = lists.setdefault(act.group.casefold(), [])
            wanted = set(line) if act.cancel else set(line[1:]) if act.queue == "single" else set()
            assert gone == wanted
            line[:] = [n for n in line if n not in wanted] + [number]
        else:
            line = next((some for some in lists.values() if act in some), [])
            if act in everyone:
                concurrency.release(world, everyone[act].thing)
            if line:
                line.remove(act)
        for group, line in lists.items():
            members = concurrency.members(world, group.upper())
            assert [m.run.id for m in members] == line
            assert [m.held for m in members] == [True] * bool(line) + [False] * (len(line) - 1)


def test_a_hundred_wait_and_no_more() -> None:
    world = World("acme", "widgets", laid().laid, laid().laid)
    block = Block("production", queue="max")
    for number in range(101):
        assert concurrency.ask(world, bare(number, world), block) == []
    late = bare(200, world)
    (out,) = concurrency.ask(world, late, block)
    assert out.member is late
    assert len(concurrency.members(world, "production")) == 101


def test_a_lock_that_its_own_run_holds_is_a_deadlock() -> None:
    world = World("acme", "widgets", laid().laid, laid().laid)
    member = bare(1, world)
    assert concurrency.ask(world, Member(member.run), Block("production")) == []
    (out,) = concurrency.ask(world, member, Block("PRODUCTION"))
    assert out.member is member
    assert "a deadlock was detected for concurrency group: 'PRODUCTION'" in out.because


# Files and expressions

CONTEXTS = {
    "github": {"sha": "abc", "ref_name": "main", "event": {"number": 7}},
    "inputs": {"version": "1.2", "dry-run": "true"},
    "needs": {"preflight": {"outputs": {"runs-on": '["self-hosted", "x"]'}, "result": "success"}},
    "job status": "success",
}


@pytest.mark.parametrize(
    ("source", "means"),
    [
        ("github.sha", "abc"),
        ("GitHub.SHA", "abc"),
        ("inputs['dry-run'] == 'TRUE'", True),
        ("inputs.none || github.ref_name", "main"),
        ("github.event.number == 7 && 'seven'", "seven"),
        ("fromJSON(needs.preflight.outputs.runs-on)[1]", "x"),
        ("!(github.sha != 'abc')", True),
        ("format('{0}-{1}', github.sha, 'it''s')", "abc-it's"),
        ("contains(fromJSON('[\"a\"]'), 'A')", True),
        ("startsWith(github.ref_name, 'ma')", True),
        ("github.nothing.at.all", ""),
        ("inputs.none == null", True),
        ("'1' == 1", True),
        ("github.event.number >= 7", True),
        ("join(fromJSON('[1, 2]'), '-')", "1-2"),
        ("success()", True),
        ("failure() || cancelled()", False),
        ("always()", True),
    ],
)
def test_expressions(source: str, means: Any) -> None:
    assert value(source, CONTEXTS) == means


def test_texts_and_conditions() -> None:
    assert text("v${{ inputs.version }} of ${{github.sha}}", CONTEXTS) == "v1.2 of abc"
    assert whole("${{ fromJSON(needs.preflight.outputs.runs-on) }}", CONTEXTS) == ["self-hosted", "x"]
    assert condition("github.ref_name == 'main'", CONTEXTS)
    assert not condition("github.ref_name == 'main'", {**CONTEXTS, "job status": "failure"})
    assert condition("${{ failure() }}", {**CONTEXTS, "job status": "failure"})
    for wrong in ("a b", "nothing.at.all", "github.*", "fromJSON('')", "'open", "f(1)", "(1", "a ==", "&& a"):
        with pytest.raises(BadExpression):
            value(wrong, CONTEXTS)


@pytest.mark.parametrize(
    "source",
    [b"jobs: [", b"on: push", b"on: push\nconcurrency: {group: a, queue: max, cancel-in-progress: true}\njobs: {}"],
)
def test_files_that_github_would_not_run(source: bytes) -> None:
    with pytest.raises(BadFile):
        read("x.yml", source)


# Runs, inside


def with_file(source: str, path: str = ".github/workflows/x.yml") -> Hub:
    hub = laid()
    head = next(branch.sha for branch in hub.world.branches if branch.name == "main")
    commit = hub.world.commits[head]
    hub.world.commits[head] = replace(commit, tree={**commit.tree, path: source.encode()})
    hub.world.workflows.append(Workflow(77, "x", path, hub.world.now))
    hub.actions.outputs = {PREFLIGHT: {"runs-on": '["self-hosted", "prod-runner-01"]'}}
    return hub


def dispatched(hub: Hub, key: str = "x.yml", **inputs: str) -> Run:
    return hub.actions.dispatch(key, "main", inputs, "acme-developer")


def states(run: Run) -> dict[str, str]:
    return {job.name: job.conclusion or job.status for job in run.last.jobs}


ON = "on: {workflow_dispatch: {inputs: {version: {required: 'true'}, how: {default: fast}}}}\nrun-name: to ${{ inputs.version }}\n"


def test_needs_conditions_and_calls() -> None:
    hub = with_file(
        ON
        + """
jobs:
  preflight: {uses: ./.github/workflows/preflight.yml, with: {profile: quick}}
  build: {needs: preflight, runs-on: ubuntu-latest, steps: [{run: make}]}
  never: {needs: build, if: inputs.how == 'slow', runs-on: x, steps: [{run: "false"}]}
  after: {needs: never, runs-on: x, steps: [{run: "false"}]}
  deploy:
    needs: [preflight, build]
    runs-on: ${{ fromJSON(needs.preflight.outputs.runs-on) }}
    env: {WHAT: "${{ inputs.version }} ${{ secrets.CODECOV_TOKEN }}"}
    steps: [{run: "echo ${{ github.sha }}", if: "${{ failure() }}"}]
"""
    )
    run = dispatched(hub, version="1.2")
    assert run.title == "to 1.2"
    assert states(run) == {
        "preflight / preflight": "success",
        "build": "success",
        "never": "skipped",
        "after": "skipped",
        "deploy": "queued",
    }
    assert run.last.status == "queued"
    deploy = run.last.jobs[-1]
    assert deploy.labels == ["self-hosted", "prod-runner-01"]
    order = hub.jobs.live[deploy.id].order
    assert order.env["WHAT"] == "1.2 lab-value-of-codecov_token"
    assert order.secrets["CODECOV_TOKEN"] in order.env["WHAT"]
    assert (order.steps[0].run, order.steps[0].condition) == ("echo ${{ github.sha }}", "failure()")
    assert text(order.steps[0].run, order.contexts) == f"echo {run.sha}", "the runner works it out"
    assert set(order.contexts["needs"]) == {"preflight", "build"}


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({}, "Required input 'version' not provided"),
        ({"version": "1", "x": "y"}, "Unexpected inputs provided: \\['x'\\]"),
    ],
)
def test_inputs_are_held_against_the_file(inputs: dict[str, str], says: str) -> None:
    hub = with_file(ON + "jobs: {a: {runs-on: x, steps: [{run: x}]}}")
    with pytest.raises(Refused, match=says):
        dispatched(hub, **inputs)


LOCKED = "on: workflow_dispatch\n{top}jobs: {{a: {{runs-on: x, {job}steps: [{{run: x}}]}}}}"


def test_a_newcomer_takes_the_place_of_who_waits() -> None:
    hub = with_file(LOCKED.format(top="", job="concurrency: Production, "))
    first, second, third = (dispatched(hub) for _ in range(3))
    assert [states(run)["a"] for run in (first, second, third)] == ["queued", "cancelled", "pending"]
    assert (second.last.status, second.last.conclusion) == ("completed", "cancelled")
    assert "a higher priority waiting request" in second.last.jobs[0].annotations[0]
    assert [run.last.status for run in (first, third)] == ["queued", "pending"]
    hub.actions.cancel(first)
    assert states(third)["a"] == "queued", "the lock is free"


def test_with_queue_max_all_wait() -> None:
    hub = with_file(LOCKED.format(top="", job="concurrency: {group: production, queue: max}, "))
    runs = [dispatched(hub) for _ in range(4)]
    assert [states(run)["a"] for run in runs] == ["queued", "pending", "pending", "pending"]
    hub.actions.cancel(runs[0])
    assert [states(run)["a"] for run in runs[1:]] == ["queued", "pending", "pending"]


def test_cancel_in_progress_ends_the_holder() -> None:
    hub = with_file(LOCKED.format(top="", job="concurrency: {group: production, cancel-in-progress: true}, "))
    first, second = dispatched(hub), dispatched(hub)
    assert states(first) == {"a": "cancelled"}
    assert states(second) == {"a": "queued"}


def test_a_lock_of_the_whole_run_and_the_same_of_its_job_never_runs() -> None:
    hub = with_file(LOCKED.format(top="concurrency: production\n", job="concurrency: production, "))
    run = dispatched(hub)
    assert states(run) == {"a": "cancelled"}
    assert "deadlock" in run.last.jobs[0].annotations[0]
    assert not list(concurrency.everybody(hub.world)), "and leaves no lease behind"


def test_a_lock_of_the_whole_run_is_waited_for_before_any_job() -> None:
    hub = with_file(LOCKED.format(top="concurrency: production\n", job=""))
    first, second = dispatched(hub), dispatched(hub)
    assert (first.last.status, second.last.status, second.last.jobs) == ("queued", "pending", [])
    hub.actions.cancel(first)
    assert states(second) == {"a": "queued"}
    hub.actions.cancel(second)
    assert second.last.conclusion == "cancelled"
    assert not list(concurrency.everybody(hub.world))


def test_runs_outlive_a_world_that_is_laid_anew() -> None:
    hub = with_file(LOCKED.format(top="", job="concurrency: production, "))
    first, second = dispatched(hub), dispatched(hub)
    hub.break_("admins-bypass", {})
    assert {first.id, second.id} <= {run.id for run in hub.world.runs}
    assert [m.run.id for m in concurrency.members(hub.world, "production")] == [first.id, second.id]
    hub.actions.cancel(first)
    assert states(second) == {"a": "queued"}


def test_only_what_failed_is_run_again() -> None:
    hub = with_file(
        """
on: workflow_dispatch
jobs:
  preflight: {uses: ./.github/workflows/preflight.yml}
  good: {runs-on: ubuntu-latest, steps: [{run: x}]}
  bad: {needs: [good, preflight], runs-on: x, steps: [{run: x}]}
"""
    )
    run = dispatched(hub)
    hub.jobs.cancel(hub.world, run.last.jobs[-1].id)
    assert run.last.conclusion == "cancelled"
    hub.actions.rerun(run, failed_only=True)
    assert states(run) == {"bad": "queued"}
    hub.jobs.cancel(hub.world, run.last.jobs[-1].id)
    hub.actions.rerun(run)
    assert states(run) == {"preflight / preflight": "success", "good": "success", "bad": "queued"}
    assert run.last.number == 3


def test_a_timer_and_a_review_are_both_waited_for() -> None:
    hub = with_file("on: workflow_dispatch\njobs: {a: {runs-on: x, environment: production, steps: [{run: x}]}}")
    guard = hub.world.environment("production")
    assert guard is not None
    guard.wait_minutes = 5
    now = [1000.0]
    hub.jobs.clock = lambda: now[0]
    run = dispatched(hub)
    assert states(run) == {"a": "waiting"}
    hub.actions.review(run, ["production"], "approved", "somebody-else")
    now[0] += 299
    hub.actions.tick()
    assert states(run) == {"a": "waiting"}
    now[0] += 1
    hub.actions.tick()
    assert states(run) == {"a": "queued"}
    guard.reviewers = False
    other = dispatched(hub)
    hub.actions.cancel(other)
    now[0] += 400
    hub.actions.tick()
    assert states(other) == {"a": "cancelled"}, "a timer that runs down later wakes nobody"


def test_an_old_run_is_not_run_again() -> None:
    hub = laid()
    newest = max(hub.world.runs, key=lambda run: run.created)
    hub.actions.rerun(newest)
    assert newest.last.number == 2
    old = min(hub.world.runs, key=lambda run: run.created)
    old.created = old.created.replace(year=old.created.year - 1)
    with pytest.raises(Refused, match="over a month ago"):
        hub.actions.rerun(old)


# Over HTTP, as a client and a runner meet it


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    with started(tmp_path_factory.mktemp("standin")) as standin:
        yield standin


@pytest.fixture
def github(process: Standin) -> Standin:
    process.order("POST", "reset")
    process.order("PUT", "outputs", {PREFLIGHT: CHOSEN})
    process.order("POST", "tokens", {"token": WRITER, "permissions": {"actions": "write", "deployments": "write"}})
    return process


def write(github: Standin, path: str, body: Any = None, token: str = WRITER) -> Any:
    return github.call("POST", f"{REPO}{path}", body, {"Authorization": f"Bearer {token}"})


def deploy(github: Standin) -> int:
    reply = write(
        github, "/actions/workflows/deploy-production.yml/dispatches", {"ref": "main", "return_run_details": True}
    )
    assert reply.status == 200, reply.data
    return int(reply.body["workflow_run_id"])


class Agent:
    """A runner, as far as the stand-in can tell."""

    def __init__(self, github: Standin, name: str) -> None:
        self.github, self.name = github, name
        self.session = self.say(f"runners/{name}/session", {"version": "2.336.0"}).body["session"]

    def say(self, path: str, body: Any) -> Any:
        return self.github.call("POST", f"/_lab/{path}", body, {"Authorization": f"Bearer {RUNNER_KEY}"})

    def poll(self) -> dict[str, Any]:
        said: dict[str, Any] = self.say(f"runners/{self.name}/poll", {"session": self.session}).body
        return said

    def take(self) -> int:
        job = int(self.poll()["job"]["id"])
        assert self.say(f"jobs/{job}/acquire", {"runner": self.name}).status == 200
        return job

    def complete(self, job: int, result: str = "success") -> None:
        assert self.say(f"jobs/{job}/complete", {"runner": self.name, "result": result}).status == 200


def approve(github: Standin, run: int, state: str = "approved", token: str = WRITER) -> Any:
    (pending,) = github.get(f"{REPO}/actions/runs/{run}/pending_deployments")
    body = {"environment_ids": [pending["environment"]["id"]], "state": state, "comment": ""}
    return write(github, f"/actions/runs/{run}/pending_deployments", body, token)


def test_a_deploy_from_its_dispatch_to_its_record(github: Standin) -> None:
    github.order(
        "POST", "tokens", {"token": "an-approvers-token", "permissions": {"deployments": "write"}, "login": "lead"}
    )
    agent = Agent(github, "prod-runner-01")
    run = deploy(github)
    assert github.get(f"{REPO}/actions/runs/{run}")["status"] == "waiting"
    assert approve(github, run).status == 422, "who started it may not approve it"
    assert agent.poll() == {}, "nothing to do before the approval"
    assert approve(github, run, token="an-approvers-token").status == 200
    assert github.get(f"{REPO}/actions/runs/{run}/approvals")[0]["user"]["login"] == "lead"
    (job,) = (j for j in github.get(f"{REPO}/actions/runs/{run}/jobs")["jobs"] if j["name"] == "deploy")
    assert (job["status"], job["runner_name"], job["started_at"]) == ("queued", None, job["created_at"])
    taken = agent.take()
    assert taken == job["id"]
    job = github.get(f"{REPO}/actions/jobs/{taken}")
    assert (job["status"], job["runner_name"]) == ("in_progress", "prod-runner-01")
    (member,) = github.get(f"{REPO}/actions/concurrency_groups/production")["group_members"]
    assert (member["job_id"], member["status"]) == (taken, "in_progress")
    agent.complete(taken)
    assert github.get(f"{REPO}/actions/runs/{run}")["conclusion"] == "success"
    assert github.call("GET", f"{REPO}/actions/concurrency_groups/production").status == 404
    record = github.get(f"{REPO}/deployments?environment=production&per_page=1")[0]
    states_ = [s["state"] for s in github.get(f"{REPO}/deployments/{record['id']}/statuses")]
    assert states_ == ["success", "in_progress", "queued", "waiting"]
    groups = github.get(f"{REPO}/actions/runs/{run}/concurrency_groups")["concurrency_groups"]
    assert [(g["group_name"], g["group_members"]) for g in groups] == [("production", [])]


def test_the_second_deploy_waits_for_the_first(github: Standin) -> None:
    first, second = deploy(github), deploy(github)
    status = [github.get(f"{REPO}/actions/runs/{run}")["status"] for run in (first, second)]
    assert status == ["waiting", "pending"]
    group = github.get(f"{REPO}/actions/concurrency_groups/PRODUCTION")
    assert [m["status"] for m in group["group_members"]] == ["in_progress", "pending"]
    position = github.get(f"{REPO}/actions/runs/{second}/concurrency_groups")["concurrency_groups"][0]["group_members"]
    assert position[0]["position"] == 1
    ahead = github.get(position[0]["position_url"])
    assert [m["run_id"] for m in ahead["group_members"]] == [first]
    third = deploy(github)
    assert github.get(f"{REPO}/actions/runs/{second}")["conclusion"] == "cancelled"
    (lost,) = (j for j in github.get(f"{REPO}/actions/runs/{second}/jobs")["jobs"] if j["name"] == "deploy")
    (note,) = github.get(f"{REPO}/check-runs/{lost['id']}/annotations")
    assert "higher priority waiting request for 'production'" in note["message"]
    assert approve(github, first, "rejected", WRITER).status in (200, 422)
    assert write(github, f"/actions/runs/{first}/cancel").status == 202
    assert github.get(f"{REPO}/actions/runs/{third}")["status"] == "waiting"
    assert write(github, f"/actions/runs/{first}/cancel").status == 409


def test_a_running_job_ends_when_its_runner_gives_it_up_or_by_force(github: Standin) -> None:
    github.order(
        "POST", "tokens", {"token": "an-approvers-token", "permissions": {"deployments": "write"}, "login": "lead"}
    )
    agent = Agent(github, "prod-runner-01")
    run = deploy(github)
    approve(github, run, token="an-approvers-token")
    job = agent.take()
    assert write(github, f"/actions/runs/{run}/cancel").status == 202
    assert github.get(f"{REPO}/actions/runs/{run}")["status"] == "in_progress"
    assert agent.poll() == {"cancel": job}
    assert write(github, f"/actions/runs/{run}/force-cancel").status == 202
    assert github.get(f"{REPO}/actions/runs/{run}")["conclusion"] == "cancelled"
    assert write(github, f"/actions/runs/{run}/rerun").status == 201
    again = github.get(f"{REPO}/actions/runs/{run}")
    assert (again["run_attempt"], again["status"]) == (2, "waiting")
    assert len(github.get(f"{REPO}/actions/runs/{run}/jobs?filter=all")["jobs"]) == 4


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/actions/workflows/deploy-production.yml/dispatches", {"ref": "main"}, 204),
        ("/actions/workflows/deploy-production.yml/dispatches", {"ref": "nowhere"}, 422),
        ("/actions/workflows/deploy-production.yml/dispatches", {"ref": "main", "inputs": {"x": "y"}}, 422),
        ("/actions/workflows/deploy-production.yml/dispatches", {"ref": "main", "unheard": 1}, 422),
        ("/actions/workflows/deploy-production.yml/dispatches", {}, 422),
        ("/actions/workflows/rollback.yml/dispatches", {"ref": "main"}, 422),
        ("/actions/workflows/ci.yml/dispatches", {"ref": "main"}, 422),
        ("/actions/workflows/none.yml/dispatches", {"ref": "main"}, 404),
        ("/actions/runs/1/cancel", None, 404),
    ],
)
def test_what_is_refused(github: Standin, path: str, body: Any, status: int) -> None:
    reply = write(github, path, body)
    assert reply.status == status, reply.data
    assert (reply.data == b"") is (status == 204)


@pytest.mark.parametrize(("version", "status"), [("2022-11-28", 204), ("2026-03-10", 200)])
def test_the_newer_version_always_tells_which_run_it_is(github: Standin, version: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {WRITER}", "X-GitHub-Api-Version": version}
    path = f"{REPO}/actions/workflows/deploy-production.yml/dispatches"
    reply = github.call("POST", path, {"ref": "main"}, headers)
    assert reply.status == status
    assert (reply.data == b"") is (status == 204)


def test_a_disabled_workflow_is_not_dispatched(github: Standin) -> None:
    github.fault("rollback-disabled")
    reply = write(github, "/actions/workflows/rollback.yml/dispatches", {"ref": "main", "inputs": {"version": "x"}})
    assert reply.status == 422
