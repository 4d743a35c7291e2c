"""The stand-in runs whole workflows: what is handed from job to job, locks of calls, matrices, pushes, and what it refuses."""

from __future__ import annotations

import base64
import io
import zipfile
from typing import Any

import pytest

from lab.github import runnerdoor, triggers
from lab.github.concurrency import everybody, members
from lab.github.hub import Hub
from lab.github.openrun import Open
from lab.github.orders import grant
from lab.github.router import Refused
from lab.github.workflowfile import read
from lab.github.world import Job, Run
from tests.inside import laid

CALLER, CALLED = ".github/workflows/x.yml", ".github/workflows/called.yml"
PRIMARY, STANDBY = "prod-runner-01", "prod-runner-02"
HERE = f"runs-on: [self-hosted, {PRIMARY}]"


def hub_with(**files: str) -> Hub:
    """The healthy world with these workflow files, by their name, on main."""
    hub = laid()
    hub.push({"files": {f".github/workflows/{name}.yml": text for name, text in files.items()}, "message": "[skip ci]"})
    for runner in hub.world.runners:
        runner.always_online = True
    return hub


def dispatched(hub: Hub, **inputs: Any) -> Run:
    return hub.actions.dispatch("x.yml", "main", inputs, "acme-developer")


def states(run: Run) -> dict[str, str]:
    return {job.name: job.conclusion or job.status for job in run.last.jobs}


def job_of(run: Run, name: str) -> Job:
    return next(job for job in run.last.jobs if job.name == name)


def say(hub: Hub, job: Job, verb: str, runner: str = PRIMARY, **body: Any) -> tuple[int, Any]:
    """What a runner says of a job that it took."""
    return runnerdoor.answer(hub, ["jobs", str(job.id), verb], {"runner": runner, **body})


def taken(hub: Hub, run: Run, name: str, runner: str = PRIMARY) -> Job:
    found = hub.world.runner(runner)
    assert found is not None
    offered = hub.jobs.offer(hub.world, found)
    assert offered is not None and offered.job.name == name, (name, states(run))
    assert hub.jobs.acquire(hub.world, offered.job.id, runner)
    return offered.job


def done(hub: Hub, run: Run, name: str, result: str = "success", by: str = PRIMARY, **outputs: str) -> None:
    job = taken(hub, run, name, by)
    say(hub, job, "outputs", by, outputs=outputs)
    assert say(hub, job, "complete", by, result=result)[0] == 200


TAKES = """
on:
  workflow_call:
    inputs: {how: {type: boolean, default: false}, what: {required: true}}
    secrets: {token: {required: true}, spare: {}}
    outputs: {runner: {value: "${{ jobs.pick.outputs.runner }}"}}
"""
PICK = f"""
jobs:
  pick:
    {HERE}
    outputs: {{runner: "${{{{ steps.gate.outputs.runner }}}}"}}
    steps: [{{id: gate, run: "echo ${{{{ inputs.what }}}} ${{{{ secrets.token }}}}"}}]
"""
CALLS = """
on: workflow_dispatch
jobs:
  gate:
    uses: ./.github/workflows/called.yml
    with: {what: "${{ github.sha }}"}
    secrets: {token: "${{ secrets.CODECOV_TOKEN }}"}
  deploy:
    needs: gate
    runs-on: [self-hosted, "${{ needs.gate.outputs.runner }}"]
    steps: [{run: "echo ${{ steps.none.outputs.x }}"}]
"""


def test_what_a_called_job_gives_decides_where_the_next_one_runs() -> None:
    hub = hub_with(x=CALLS, called=TAKES + PICK)
    hub.actions.secrets["CODECOV_TOKEN"] = "the-true-one"
    run = dispatched(hub)
    order = hub.jobs.live[job_of(run, "gate / pick").id].order
    assert order.outputs == {"runner": "${{ steps.gate.outputs.runner }}"}, "the runner works it out"
    assert order.contexts["inputs"] == {"how": False, "what": run.sha}, "a truth value, and no text"
    assert {k: v for k, v in order.secrets.items() if k != "GITHUB_TOKEN"} == {"token": "the-true-one"}, (
        "no more than was handed on"
    )
    done(hub, run, "gate / pick", runner=STANDBY)
    assert job_of(run, "deploy").labels == ["self-hosted", STANDBY]
    done(hub, run, "deploy", by=STANDBY)
    assert run.last.conclusion == "success"


def test_a_call_that_gives_nothing_sends_the_next_job_nowhere() -> None:
    """A job without labels could go to any runner."""
    source = CALLS.replace('[self-hosted, "${{ needs.gate.outputs.runner }}"]', "${{ needs.gate.outputs.runner }}")
    hub = hub_with(x=source, called=TAKES + PICK)
    run = dispatched(hub)
    done(hub, run, "gate / pick")
    assert states(run)["deploy"] == "failure" and run.last.conclusion == "failure"
    assert "runs-on names no label" in job_of(run, "deploy").annotations[0]
    source = CALLS.replace(
        '[self-hosted, "${{ needs.gate.outputs.runner }}"]', "${{ fromJSON(needs.gate.outputs.runner) }}"
    )
    hub = hub_with(x=source, called=TAKES + PICK)
    run = dispatched(hub)
    done(hub, run, "gate / pick")
    assert states(run)["deploy"] == "failure" and "fromjson" in job_of(run, "deploy").annotations[0]


@pytest.mark.parametrize(
    ("caller", "called", "says"),
    [
        (CALLS.replace("what: ", "that: "), TAKES + PICK, "takes no that"),
        (CALLS.replace('with: {what: "${{ github.sha }}"}', "with: {how: true}"), TAKES + PICK, "requires what"),
        (CALLS.replace("token:", "tokens:"), TAKES + PICK, "takes no tokens"),
        (CALLS, "on: push" + PICK, "has no on.workflow_call"),
        (CALLS, TAKES + PICK.replace("steps:", "services: {}\n    steps:"), "does not run services"),
        (CALLS.replace("called.yml", "gone.yml"), TAKES + PICK, "it is not in the repository"),
        (CALLS.replace("./.github", "acme/other/.github"), TAKES + PICK, "calls files of its own repository"),
        (CALLS.replace("on: workflow_dispatch", "on: [workflow_dispatch, workflow_call]").replace("called.yml", "x.yml"), "", "levels deep"),
        (CALLS.replace("needs: gate", "needs: none"), TAKES + PICK, "needs none, which is no job"),
        (CALLS.replace("needs: gate", "needs: deploy"), TAKES + PICK, "need one another"),
    ],
)  # fmt: skip
def test_a_call_is_held_against_what_it_calls_before_anything_runs(caller: str, called: str, says: str) -> None:
    hub = hub_with(x=caller, called=called or TAKES + PICK)
    before = len(hub.world.runs)
    with pytest.raises(Refused, match=says):
        dispatched(hub)
    assert len(hub.world.runs) == before


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("{uses: actions/cache@v4}", "the lab's runner has no actions/cache@v4"),
        ("{run: x, shell: pwsh}", "has no shell pwsh"),
        ("{run: x, with: {a: b}, retries: 3}", "does not run retries"),
        ("{name: nothing}", "a step has run or uses"),
    ],
)
def test_a_step_that_the_runner_cannot_do_is_refused(step: str, says: str) -> None:
    hub = hub_with(x=f"on: workflow_dispatch\njobs: {{a: {{{HERE}, steps: [{step}]}}}}")
    with pytest.raises(Refused, match=says):
        dispatched(hub)


@pytest.mark.parametrize("where", ["caller", "called"])
def test_a_lock_of_a_call_is_held_from_its_first_job_to_its_last(where: str) -> None:
    lock = "concurrency: {group: Gate, queue: max}\n"
    caller = CALLS.replace("    with: {", f"    {lock}    with: {{") if where == "caller" else CALLS
    hub = hub_with(x=caller, called=TAKES + (lock if where == "called" else "") + PICK)
    first, second, third = (dispatched(hub) for _ in range(3))
    assert [states(run) for run in (first, second)] == [{"gate / pick": "queued"}, {}]
    assert [run.last.status for run in (first, second, third)] == ["queued", "pending", "pending"]
    assert [member.run.id for member in members(hub.world, "gate")] == [first.id, second.id, third.id]
    assert all(member.job is None for member in members(hub.world, "gate")), "it is the call's, not a job's"
    hub.actions.cancel(second)
    assert second.last.conclusion == "cancelled" and states(second)["gate"] == "cancelled"
    done(hub, first, "gate / pick", runner=STANDBY)
    assert states(third) == {"gate / pick": "queued"} and states(first)["deploy"] == "queued"
    for run in (first, third):
        hub.actions.cancel(run)
    assert not list(everybody(hub.world))


def test_a_newcomer_takes_the_place_of_a_call_that_waits() -> None:
    hub = hub_with(x=CALLS, called=TAKES + "concurrency: gate\n" + PICK)
    runs = [dispatched(hub) for _ in range(3)]
    assert [run.last.conclusion or run.last.status for run in runs] == ["queued", "cancelled", "pending"]
    assert "a higher priority waiting request for 'gate'" in job_of(runs[1], "gate").annotations[0]
    assert states(runs[1])["deploy"] == "skipped"


def test_a_newcomer_that_cancels_ends_the_jobs_of_the_call() -> None:
    hub = hub_with(x=CALLS, called=TAKES + "concurrency: {group: gate, cancel-in-progress: true}\n" + PICK)
    first, second = dispatched(hub), dispatched(hub)
    assert states(first) == {"gate / pick": "cancelled", "deploy": "skipped"}
    assert states(second) == {"gate / pick": "queued"}


def test_a_call_that_asks_for_its_own_callers_lock_is_a_deadlock() -> None:
    caller = CALLS.replace("    with: {", "    concurrency: production\n    with: {")
    hub = hub_with(x=caller, called=TAKES + "concurrency: Production\n" + PICK)
    run = dispatched(hub)
    assert run.last.conclusion == "cancelled" and "deadlock" in job_of(run, "gate").annotations[0]
    assert not list(everybody(hub.world))


MATRIX = f"""
on: workflow_dispatch
jobs:
  canary:
    strategy:
      fail-fast: true
      matrix: {{runner: [{PRIMARY}, {STANDBY}], how: [fast, slow], exclude: [{{runner: {STANDBY}, how: fast}}], include: [{{how: slow, more: 1}}]}}
    runs-on: [self-hosted, "${{{{ matrix.runner }}}}"]
    outputs: {{how: x}}
    steps: [{{run: "echo ${{{{ matrix.more }}}} ${{{{ strategy.job-index }}}}"}}]
  after: {{needs: canary, {HERE}, if: always(), steps: [{{run: x}}]}}
"""


def test_a_matrix_is_as_many_jobs_and_one_need() -> None:
    hub = hub_with(x=MATRIX)
    run = dispatched(hub)
    names = [f"canary ({PRIMARY}, fast)", f"canary ({PRIMARY}, slow, 1)", f"canary ({STANDBY}, slow, 1)"]
    assert states(run) == dict.fromkeys(names, "queued")
    assert [job.labels[1] for job in run.last.jobs] == [PRIMARY, PRIMARY, STANDBY]
    assert [hub.jobs.live[job.id].order.contexts["strategy"]["job-index"] for job in run.last.jobs] == [0, 1, 2]
    done(hub, run, names[0], how="x", other="1")
    done(hub, run, names[2], by=STANDBY, other="2")
    assert "after" not in states(run)
    done(hub, run, names[1])
    order = hub.jobs.live[job_of(run, "after").id].order
    assert order.contexts["needs"]["canary"] == {"result": "success", "outputs": {"how": "x", "other": "2"}}


def test_one_failure_cancels_the_rest_of_a_matrix_unless_it_says_otherwise() -> None:
    for fast, word in (("true", "cancelled"), ("false", "queued")):
        hub = hub_with(x=MATRIX.replace("fail-fast: true", f"fail-fast: {fast}"))
        run = dispatched(hub)
        done(hub, run, f"canary ({PRIMARY}, fast)", "failure")
        assert states(run)[f"canary ({STANDBY}, slow, 1)"] == word


CHAIN = f"""
on: workflow_dispatch
jobs:
  a: {{{HERE}, steps: [{{run: x}}]}}
  b: {{needs: a, {HERE}, steps: [{{run: x}}]}}
  told: {{needs: b, if: failure(), {HERE}, steps: [{{run: x}}]}}
  watch: {{if: always(), runs-on: [self-hosted, {STANDBY}], steps: [{{run: x}}]}}
"""


def test_failure_asks_all_ancestors() -> None:
    hub = hub_with(x=CHAIN)
    run = dispatched(hub)
    done(hub, run, "a", "failure")
    assert states(run) == {"a": "failure", "b": "skipped", "told": "queued", "watch": "queued"}


def test_a_cancelled_run_lets_on_what_always_runs() -> None:
    hub = hub_with(x=CHAIN)
    run = dispatched(hub)
    first, watch = taken(hub, run, "a"), taken(hub, run, "watch", STANDBY)
    hub.actions.cancel(run)
    assert hub.jobs.cancelled_of(PRIMARY) == first.id and hub.jobs.cancelled_of(STANDBY) == 0
    say(hub, first, "complete", result="cancelled")
    say(hub, watch, "complete", STANDBY, result="success")
    assert states(run) == {"a": "cancelled", "b": "cancelled", "told": "cancelled", "watch": "success"}
    assert run.last.conclusion == "cancelled"


def packed(**files: str) -> str:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return base64.b64encode(body.getvalue()).decode()


def test_an_artifact_is_handed_over_within_its_run_and_listed() -> None:
    hub = hub_with(x=CHAIN)
    run, other = dispatched(hub), dispatched(hub)
    job, stranger = taken(hub, run, "a"), taken(hub, run, "watch", STANDBY)
    assert say(hub, job, "download", name="verdict")[0] == 404
    status, told = say(hub, job, "upload", name="verdict", zip=packed(a="1"), days=1)
    assert status == 201 and told["digest"].startswith("sha256:")
    assert say(hub, job, "upload", name="verdict", zip=packed(a="2"))[0] == 409
    assert say(hub, stranger, "download", STANDBY, name="verdict")[1]["artifacts"][0]["zip"] == packed(a="1")
    (listed,) = [it for it in hub.world.artifacts if it.run_id == run.id]
    assert (listed.name, (listed.expires - listed.created).days) == ("verdict", 1)
    hub.break_("admins-bypass", {})
    assert [it.name for it in hub.world.artifacts if it.run_id == run.id] == ["verdict"], "it outlives a fault"
    assert say(hub, job, "upload", name="verdict", zip=packed(a="2"), overwrite=True)[0] == 201
    assert len([it for it in hub.world.artifacts if it.run_id == run.id]) == 1
    with pytest.raises(ValueError, match="zip archive"):
        say(hub, job, "upload", name="other", zip="bm8=")
    with pytest.raises(ValueError, match="name is not valid"):
        say(hub, job, "upload", name="a/b", zip=packed(a="1"))
    assert not [it for it in hub.world.artifacts if it.run_id == other.id]


def test_an_artifacts_name_stays_taken_in_the_runs_next_attempt() -> None:
    """As GitHub's: a name is of the run, and an attempt is the same run."""
    hub = hub_with(x=CHAIN)
    run = dispatched(hub)
    job = taken(hub, run, "a")
    assert say(hub, job, "upload", name="widgets", zip=packed(a="1"))[0] == 201
    assert say(hub, job, "complete", result="failure")[0] == 200
    done(hub, run, "told")
    done(hub, run, "watch", by=STANDBY)
    hub.actions.rerun(run)
    again = taken(hub, run, "a")
    assert again.attempt == 2
    assert say(hub, again, "upload", name="widgets", zip=packed(a="2"))[0] == 409
    assert say(hub, again, "upload", name="widgets-2", zip=packed(a="2"))[0] == 201
    assert say(hub, again, "upload", name="widgets", zip=packed(a="2"), overwrite=True)[0] == 201
    assert say(hub, again, "download", name="widgets")[1]["artifacts"][0]["zip"] == packed(a="2")


def test_a_checkout_gets_the_commits_files_and_only_its_holder_does() -> None:
    hub = hub_with(x=CHAIN)
    run = dispatched(hub)
    job = taken(hub, run, "a")
    status, told = say(hub, job, "source")
    assert status == 200 and base64.b64decode(told["files"][CALLER]).decode() == CHAIN
    assert say(hub, job, "source", ref="topic/gears")[1]["sha"] != run.sha
    assert say(hub, job, "source", ref="nowhere")[0] == 404
    assert say(hub, job, "source", "somebody")[0] == 404


def test_a_push_starts_what_asks_for_it_and_says_who_pushed_what() -> None:
    hub = hub_with(
        x=f"on: {{push: {{branches: [main], paths: ['gears/**']}}}}\njobs: {{a: {{{HERE}, steps: [{{run: x}}]}}}}"
    )
    sha, runs = hub.push({"files": {"gears/big.txt": "12"}, "message": "Bigger gears", "actor": "somebody"})
    paths = {run.path: run for run in hub.world.runs if run.id in runs}
    assert set(paths) >= {CALLER, ".github/workflows/ci.yml"}
    run = paths[CALLER]
    assert (run.event, run.sha, run.title, run.actor) == ("push", sha, "Bigger gears", "somebody")
    order = hub.jobs.live[run.last.jobs[0].id].order
    assert order.contexts["github"]["event"]["after"] == sha
    _, runs = hub.push({"files": {"README.md": "x"}})
    assert CALLER not in {run.path for run in hub.world.runs if run.id in runs}
    assert hub.push({"files": {"gears/big.txt": "13"}, "message": "No more [skip ci]"})[1] == []
    _, runs = hub.push({"files": {"gears/big.txt": "13"}, "branch": "topic/more"})
    assert CALLER not in {run.path for run in hub.world.runs if run.id in runs}


def test_what_was_pushed_outlives_a_fault_and_its_healing() -> None:
    hub = hub_with(x=CHAIN)
    head = next(branch.sha for branch in hub.world.branches if branch.name == "main")
    hub.break_("admins-bypass", {})
    hub.heal("")
    assert next(branch.sha for branch in hub.world.branches if branch.name == "main") == head
    hub.break_("undo-removed", {})
    sha, _ = hub.push({"files": {"gears": "1"}, "message": "[skip ci]"})
    assert hub.world.commits[sha].parent == head, "a fault's commit is no parent: it goes when the fault goes"
    with pytest.raises(ValueError, match="that push is not taken"):
        hub.push({"files": {".github/workflows/deploy-production.yml": "on: push"}})
    assert next(b.sha for b in hub.world.branches if b.name == "topic/gears") != sha
    with pytest.raises(ValueError, match="a push needs files"):
        hub.push({"files": {"/etc/passwd": "x"}})


@pytest.mark.parametrize(
    ("filters", "branch", "paths", "starts"),
    [
        ("", "any", ["a"], True),
        ("{branches: [main, 'release/**']}", "release/1/2", ["a"], True),
        ("{branches: ['release/*']}", "release/1/2", ["a"], False),
        ("{branches: ['**', '!main']}", "main", ["a"], False),
        ("{branches-ignore: [main]}", "main", ["a"], False),
        ("{branches-ignore: [main]}", "topic", ["a"], True),
        ("{tags: [v1]}", "main", ["a"], False),
        ("{paths: ['docs/**']}", "main", ["docs/a/b.md"], True),
        ("{paths: ['**/b.md']}", "main", ["docs/a/b.md"], True),
        ("{paths: ['*.md']}", "main", ["docs/a.md"], False),
        ("{paths-ignore: ['docs/**']}", "main", ["docs/a.md"], False),
        ("{paths-ignore: ['docs/**']}", "main", ["docs/a.md", "b"], True),
    ],
)
def test_which_pushes_start_a_workflow(filters: str, branch: str, paths: list[str], starts: bool) -> None:
    source = f"on: {{push: {filters or 'null'}}}\njobs: {{a: {{runs-on: x, steps: [{{run: x}}]}}}}"
    assert triggers.starts(read(CALLER, source.encode()), branch, paths) is starts


def permissions(top: str, caller: str, called: str, job: str) -> dict[str, str]:
    """Of a called job's token."""
    files = {
        CALLER: read(CALLER, f"{top}\non: push\njobs: {{a: {{uses: ./{CALLED}{caller}}}}}".encode()),
        CALLED: read(CALLED, f"{called}\non: workflow_call\njobs: {{b: {{runs-on: x{job}, steps: [{{run: x}}]}}}}".encode()),
    }  # fmt: skip
    hub = laid()
    run = Run(1, CALLER, 1, "push", "main", "sha", "x", "me", hub.world.now, [])
    opened = Open(run, files, {})
    opened.plan = {"a": files[CALLER].jobs[0], "a/b": files[CALLED].jobs[0]}
    opened.called["a"] = files[CALLED]
    return {name: level for name, level in grant(opened, "a/b").permissions.items() if name != "metadata"}


@pytest.mark.parametrize(
    ("top", "caller", "called", "job", "may"),
    [
        ("", "", "", "", {"contents": "read", "packages": "read"}),
        ("permissions: {}", "", "", "", {}),
        ("permissions: {}", ", permissions: {contents: read}", "permissions: {}", ", permissions: {contents: write, actions: read}", {"contents": "read"}),
        ("permissions: write-all", "", "permissions: {pull-requests: write}", "", {"pull_requests": "write"}),
        ("permissions: write-all", "", "", ", permissions: {actions: write, issues: none}", {"actions": "write"}),
    ],
)  # fmt: skip
def test_a_jobs_token_may_what_its_file_says_and_no_more_than_its_caller(
    top: str, caller: str, called: str, job: str, may: dict[str, str]
) -> None:
    assert permissions(top, caller, called, job) == may


def test_a_jobs_token_ends_with_the_job() -> None:
    hub = hub_with(x=CHAIN)
    run = dispatched(hub)
    job = taken(hub, run, "a")
    token = hub.jobs.live[job.id].order.secrets["GITHUB_TOKEN"]
    assert token in hub.actions.issued and hub.jobs.live[job.id].order.contexts["github"]["token"] == token
    say(hub, job, "complete", result="success")
    assert token not in hub.actions.issued
