"""Runs of now: made by a dispatch, taken through their needs, locks and approvals, up to the queue where runners find them.

What a runner does with a job is `jobs.py`'s; this hears of it through `Jobs.changed`. The files that run are those of the
commit, read by `workflowfile.py`. GitHub's own machines are none of the lab's: a job for one ends well at once, with the
outputs that the lab's door gave for its workflow (`outputs`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from lab.github import concurrency
from lab.github.concurrency import Block, Cancelled, Member
from lab.github.expressions import condition, text, whole
from lab.github.jobs import Jobs, Order, StepOrder, moment, roll_up
from lab.github.router import Refused, not_found
from lab.github.runs import HOSTED
from lab.github.workflowfile import MOST_INPUTS, BadFile, File, JobText, read
from lab.github.world import Attempt, Deployment, DeploymentState, Job, Run, World

MACHINES = re.compile(r"(ubuntu|windows|macos)(-.*)?", re.IGNORECASE)
RERUN_DAYS = 30


@dataclass
class Open:
    """A run under way: its file, what it was given, and how far it is."""

    run: Run
    file: File
    inputs: Mapping[str, str]
    plan: dict[str, JobText] = field(default_factory=dict)
    """By key: a job's id, or `caller/id` below a call."""
    scopes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By caller: the inputs of what it calls."""
    called: dict[str, File] = field(default_factory=dict)
    made: dict[str, Job] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    cancelled: bool = False
    waiting_orders: dict[int, str] = field(default_factory=dict)
    """Jobs that are not in the queue yet, by id: their key."""

    @property
    def done(self) -> bool:
        return set(self.results) == set(self.plan)


class Actions:
    """Callers hold the hub's lock; `world` gives the world as it is laid at the moment."""

    def __init__(self, jobs: Jobs, world: Callable[[], World]) -> None:
        self.jobs = jobs
        self.outputs: dict[str, Mapping[str, str]] = {}
        """By the path of a workflow file: what its jobs on GitHub's machines give."""
        self._world = world
        self._open: dict[int, Open] = {}
        self._records: dict[int, Deployment] = {}
        """Deployments by the id of their job."""
        self._held: dict[int, set[str]] = {}
        """What a waiting job still waits for, by its id: `review`, `timer`."""
        self._timers: dict[int, tuple[float, Run, Job]] = {}
        jobs.changed.append(self._changed)

    def into(self, world: World) -> None:
        """Puts the runs of now, and their deployments, into a world that was laid anew."""
        known = {run.id for run in world.runs}
        world.runs += [it.run for it in self._open.values() if it.run.id not in known]
        world.deployments += list(self._records.values())

    # What people ask for

    def dispatch(self, key: str, ref: str, inputs: Mapping[str, Any], actor: str) -> Run:
        """Raises Refused, as GitHub would answer."""
        world = self._world()
        workflow = world.workflow(key)
        if workflow is None:
            raise not_found()
        if workflow.state != "active":
            raise Refused(422, f"Cannot trigger a 'workflow_dispatch' on a disabled workflow ({workflow.state})")
        commit = world.commit(ref)
        if commit is None or workflow.path not in commit.tree:
            raise Refused(422, f"No ref found for: {ref}")
        file = self._read(workflow.path, commit.tree[workflow.path])
        if "workflow_dispatch" not in file.triggers:
            raise Refused(422, "Workflow does not have 'workflow_dispatch' trigger")
        given = _inputs(file, inputs)
        now = moment()
        branch = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        number = 1 + max((run.number for run in world.runs if run.path == workflow.path), default=0)
        run = Run(
            self.jobs.next_id(), workflow.path, number, "workflow_dispatch", branch, commit.sha, file.name, actor, now, []
        )  # fmt: skip
        opened = Open(run, file, given)
        if file.run_name:
            run.title = text(file.run_name, self._contexts(opened, ""))
        world.runs.append(run)
        self._open[run.id] = opened
        self._start(opened)
        return run

    def rerun(self, run: Run, failed_only: bool = False) -> None:
        """Another attempt, of the same commit. Raises Refused."""
        if run.last.status != "completed":
            raise Refused(403, "This workflow is already running")
        if moment() - run.created > timedelta(days=RERUN_DAYS):
            raise Refused(403, "Unable to retry this workflow run because it was created over a month ago")
        opened = self._open.get(run.id)
        if opened is None:
            commit = self._world().commits.get(run.sha)
            if commit is None or run.path not in commit.tree:
                raise Refused(403, "Unable to retry this workflow run because its file is gone")
            opened = self._open[run.id] = Open(run, self._read(run.path, commit.tree[run.path]), {})
        # What succeeded stays as it was: the job, or the whole call.
        kept = {k: v for k, v in opened.results.items() if failed_only and v == "success" and "/" not in k}
        opened.results, opened.made, opened.called, opened.cancelled = dict(kept), {}, {}, False
        self._start(opened)

    def cancel(self, run: Run, force: bool = False) -> None:
        """Everything of it that has not ended. A job that runs ends when its runner gives it up, or at once by force."""
        if run.last.status == "completed":
            raise Refused(409, "Cannot cancel a workflow run that is completed.")
        world = self._world()
        opened = self._open.get(run.id)
        if opened is not None:
            opened.cancelled = True
        self._drop(Cancelled(Member(run), ""))
        for job in run.last.jobs:
            if job.status != "completed" and not self.jobs.cancel(world, job.id):
                self._end(run, job, "cancelled")
            if force and job.status != "completed":
                self.jobs.force(world, job.id)
        if opened is not None:
            self._advance(opened)

    def review(self, run: Run, environments: list[str], state: str, who: str) -> list[Deployment]:
        """An approval, or a rejection, of what waits for these environments. Raises Refused."""
        names = {name.casefold() for name in environments}
        found = [job for job in run.last.jobs if job.status == "waiting" and job.environment.casefold() in names]
        if not found:
            raise Refused(422, "No pending deployment requests to approve or reject")
        guard = self._world().environment(found[0].environment)
        if guard is not None and guard.prevent_self_review and who == run.actor:
            raise Refused(422, "Cannot approve a deployment that you started")
        for job in found:
            if state == "approved":
                run.approved_by = who
                self._passed(run, job, "review")
            else:
                self._end(run, job, "failure")
        return [self._records[job.id] for job in found if job.id in self._records]

    # How a run goes on

    def _read(self, path: str, source: bytes) -> File:
        try:
            return read(path, source)
        except BadFile as wrong:
            raise Refused(422, f"Invalid workflow file: {wrong}") from None

    def _start(self, opened: Open) -> None:
        now = moment()
        run = opened.run
        run.attempts.append(Attempt(len(run.attempts) + 1, "queued", None, now, now, []))
        opened.plan = {job.id: job for job in opened.file.jobs}
        if opened.file.lock is not None:
            self._ask(Member(run), opened.file.lock.evaluated(self._contexts(opened, "")))
            if run.last.status == "completed":
                return
            if run.lease == "pending":
                run.last.status = "pending"
                return
        self._advance(opened)

    def _advance(self, opened: Open) -> None:
        """Every job whose needs have ended is made, skipped or called, until nothing more follows."""
        again = True
        while again and opened.run.lease != "pending":
            again = False
            for key, job in list(opened.plan.items()):
                if key in opened.results or key in opened.made or key in opened.called:
                    continue
                below = key.rpartition("/")[0]
                needs = [f"{below}/{need}" if below else need for need in job.needs]
                if all(need in opened.results for need in needs):
                    self._make(opened, key, job, needs)
                    again = True
            for caller, file in opened.called.items():
                inner = [key for key in opened.plan if key.startswith(f"{caller}/")]
                if caller not in opened.results and all(key in opened.results for key in inner):
                    opened.results[caller] = _together(opened.results[key] for key in inner)
                    contexts = self._contexts(opened, f"{caller}/x")
                    opened.outputs[caller] = {name: text(source, contexts) for name, source in file.outputs.items()}
                    again = True
        if opened.run.attempts and opened.run.last.jobs:
            roll_up(opened.run)
        if opened.done:
            self._finish(opened)
        elif opened.run.attempts and opened.run.last.status == "completed":
            opened.run.last.status, opened.run.last.conclusion = "queued", None

    def _finish(self, opened: Open) -> None:
        run = opened.run
        if run.last.status != "completed":
            run.last.status, run.last.conclusion = "completed", _together(opened.results.values())
            run.last.updated = moment()
        self._released(run)

    def _make(self, opened: Open, key: str, job: JobText, needs: list[str]) -> None:
        contexts = self._contexts(opened, key)
        results = {opened.results[need] for need in needs}
        bad = "failure" if "failure" in results else "skipped" if results - {"success"} else "success"
        status = "cancelled" if opened.cancelled else bad
        if not condition(job.condition or "success()", {**contexts, "job status": status}):
            opened.results[key] = "cancelled" if opened.cancelled else "skipped"
            if not job.uses:
                self._job(opened, key, job, "completed", "cancelled" if opened.cancelled else "skipped")
            return
        if job.uses:
            self._call(opened, key, job, contexts)
            return
        labels = _labels(whole(job.runs_on, contexts) if isinstance(job.runs_on, str) else job.runs_on, contexts)
        if any(MACHINES.fullmatch(label) for label in labels):
            self._elsewhere(opened, key, job, labels)
            return
        made = self._job(opened, key, job, "queued", None)
        made.labels = labels
        made.environment = text(job.environment, contexts)
        opened.waiting_orders[made.id] = key
        if job.lock is not None:
            self._ask(Member(opened.run, made), job.lock.evaluated(contexts))
            if made.status == "completed":
                return
            if made.lease == "pending":
                made.status = "pending"
                return
        self._admit(opened.run, made)

    def _call(self, opened: Open, key: str, job: JobText, contexts: Mapping[str, Any]) -> None:
        """The jobs of a called file become part of the plan, listed as `caller / job`."""
        path = job.uses.removeprefix("./").split("@")[0]
        tree = self._world().commits[opened.run.sha].tree
        if not job.uses.startswith("./") or path not in tree:
            opened.results[key] = "failure"
            return
        file = self._read(path, tree[path])
        opened.called[key] = file
        opened.scopes[key] = {name: text(str(given), contexts) for name, given in job.given.items()}
        for inner in file.jobs:
            opened.plan[f"{key}/{inner.id}"] = replace(inner, title=f"{job.title} / {inner.title}")

    def _elsewhere(self, opened: Open, key: str, job: JobText, labels: list[str]) -> None:
        """On a machine of GitHub's."""
        made = self._job(opened, key, job, "completed", "success")
        made.labels = labels
        made.runner_id, made.runner_name, made.group_id, made.group_name = HOSTED
        caller = key.rpartition("/")[0]
        path = opened.called[caller].path if caller else opened.file.path
        opened.results[key], opened.outputs[key] = "success", self.outputs.get(path, {})

    def _job(self, opened: Open, key: str, job: JobText, status: Any, conclusion: str | None) -> Job:
        now, run = moment(), opened.run
        title = text(job.title, self._contexts(opened, key))
        made = Job(
            self.jobs.next_id(), run.id, run.last.number, title, status, conclusion, now, now,
            now if status == "completed" else None, [],
        )  # fmt: skip
        run.last.jobs.append(made)
        opened.made[key] = made
        return made

    def _contexts(self, opened: Open, key: str) -> dict[str, Any]:
        """What expressions of that job may read. Its inputs are the caller's gifts below a call."""
        run, world = opened.run, self._world()
        below = key.rpartition("/")[0]
        start = f"{below}/" if below else ""
        siblings = {
            name.removeprefix(start): {"result": result, "outputs": dict(opened.outputs.get(name, {}))}
            for name, result in opened.results.items()
            if name.startswith(start) and "/" not in name.removeprefix(start)
        }
        return {
            "github": {
                "sha": run.sha, "ref": f"refs/heads/{run.branch}", "ref_name": run.branch, "actor": run.actor,
                "event_name": run.event, "repository": world.full_name, "run_id": run.id, "run_number": run.number,
                "run_attempt": run.last.number if run.attempts else 1, "workflow": opened.file.name,
                "repository_owner": world.owner,
            },
            "inputs": dict(opened.scopes[below] if below else opened.inputs),
            "needs": siblings,
            "jobs": siblings,
            "vars": {name: it.value for name, it in (world.org_variables | world.variables).items()},
        }  # fmt: skip

    def _ask(self, member: Member, block: Block) -> None:
        for out in concurrency.ask(self._world(), member, block):
            self._drop(out)

    def _drop(self, out: Cancelled) -> None:
        """Whoever lost its place ends as cancelled, and GitHub says why."""
        run, job = out.member.run, out.member.job
        opened = self._open.get(run.id)
        if job is not None:
            if out.because:
                job.annotations.append(out.because)
            if not self.jobs.cancel(self._world(), job.id):
                self._end(run, job, "cancelled")
            return
        if out.because:
            if opened is not None:
                opened.cancelled = True
            for each in run.last.jobs:
                self._drop(Cancelled(Member(run, each), out.because)) if each.status != "completed" else None
        if run.last.status == "pending" or not run.last.jobs:
            run.last.status, run.last.conclusion, run.last.updated = "completed", "cancelled", moment()
            if opened is not None:
                opened.results = dict.fromkeys(opened.plan, "cancelled")
        self._released(run)

    def _released(self, thing: Run | Job) -> None:
        for next_ in concurrency.release(self._world(), thing):
            if next_.job is not None:
                self._admit(next_.run, next_.job)
            elif (opened := self._open.get(next_.run.id)) is not None:
                next_.run.last.status = "queued"
                self._advance(opened)

    def _admit(self, run: Run, job: Job) -> None:
        """It has its lock: what its environment asks for comes next."""
        guard = self._world().environment(job.environment) if job.environment else None
        held = {"review"} if guard is not None and guard.reviewers else set[str]()
        if guard is not None and guard.wait_minutes:
            held.add("timer")
            self._timers[job.id] = (self.jobs.clock() + 60 * guard.wait_minutes, run, job)
        key = self._key(run, job)
        records = self._open[run.id].plan[key].records if key else True
        if job.environment and records:
            self._record(run, job, "waiting" if held else "queued")
        if held:
            self._held[job.id] = held
            job.status = "waiting"
            roll_up(run)
            return
        self._into_queue(run, job)

    def _passed(self, run: Run, job: Job, rule: str) -> None:
        """One of the environment's rules is satisfied; the last of them lets the job go on."""
        held = self._held.get(job.id, set())
        held.discard(rule)
        if not held and job.status == "waiting":
            self._into_queue(run, job)

    def tick(self) -> None:
        """What time alone brings: timers that have run down."""
        for number, (ends, run, job) in list(self._timers.items()):
            if self.jobs.clock() >= ends:
                del self._timers[number]
                self._passed(run, job, "timer")

    def _into_queue(self, run: Run, job: Job) -> None:
        opened = self._open[run.id]
        key = opened.waiting_orders.pop(job.id)
        if job.id in self._records and self._records[job.id].states[-1].state != "queued":
            self._state(job, "queued")
        self.jobs.queue(self._world(), run, job, self._order(opened, key, job))

    def _order(self, opened: Open, key: str, job: Job) -> Order:
        """What the runner gets. A secret's value is none that opens anything: the lab holds no others."""
        plan, world = opened.plan[key], self._world()
        guard = world.environment(job.environment) if job.environment else None
        names = {*world.org_secrets, *world.secrets, *(guard.secrets if guard else ())}
        secrets = {name: f"lab-value-of-{name.lower()}" for name in sorted(names)}
        variables = {name: it.value for name, it in guard.variables.items()} if guard else {}
        contexts = self._contexts(opened, key)
        contexts |= {"secrets": secrets, "vars": contexts["vars"] | variables}
        env = {name: text(str(said), contexts) for name, said in {**opened.file.env, **plan.env}.items()}
        contexts["env"] = env
        steps = tuple(_step(step, contexts) for step in plan.steps)
        files = {path: body.decode("utf-8", "replace") for path, body in world.commits[opened.run.sha].tree.items()}
        return Order(steps, env, secrets, files, plan.timeout)

    def _record(self, run: Run, job: Job, state: str) -> None:
        now = moment()
        record = Deployment(
            self.jobs.next_id(), run.id, job.id, run.sha, run.branch, job.environment, run.actor, now, []
        )
        self._records[job.id] = record
        self._world().deployments.append(record)
        self._state(job, state)

    def _state(self, job: Job, state: str) -> None:
        record = self._records.get(job.id)
        if record is not None:
            record.states.append(DeploymentState(self.jobs.next_id(), state, moment()))

    def _end(self, run: Run, job: Job, conclusion: str) -> None:
        """A job that no runner has."""
        job.status, job.conclusion, job.completed = "completed", conclusion, moment()
        roll_up(run)
        self._changed(run, job)

    def _key(self, run: Run, job: Job) -> str:
        opened = self._open.get(run.id)
        return next((key for key, made in opened.made.items() if made is job), "") if opened is not None else ""

    def _changed(self, run: Run, job: Job) -> None:
        """Heard of every job, also of those that the lab's door made without a run of ours."""
        if job.status == "in_progress":
            self._state(job, "in_progress")
        if job.status != "completed":
            return
        if job.id in self._records and self._records[job.id].states[-1].state not in ("success", "failure"):
            self._state(job, "success" if job.conclusion == "success" else "failure")
        key, opened = self._key(run, job), self._open.get(run.id)
        if opened is not None and key:
            opened.waiting_orders.pop(job.id, None)
            opened.results[key] = job.conclusion or "failure"
        if job.lease:
            self._released(job)
        if opened is not None and key:
            self._advance(opened)


def _inputs(file: File, given: Mapping[str, Any]) -> dict[str, str]:
    """Raises Refused for inputs that the file does not take."""
    if len(given) > MOST_INPUTS:
        raise Refused(422, f"you may only define up to {MOST_INPUTS} `inputs` for a `workflow_dispatch` event")
    if strange := sorted(set(given) - set(file.inputs)):
        raise Refused(422, f"Unexpected inputs provided: {strange}")
    found = {
        name: str(given.get(name, about.get("default", "") if isinstance(about, dict) else ""))
        for name, about in file.inputs.items()
    }
    for name, about in file.inputs.items():
        if isinstance(about, dict) and about.get("required") == "true" and not found[name]:
            raise Refused(422, f"Required input '{name}' not provided")
    return found


def _together(results: Any) -> str:
    """The conclusion of a run, or of a called workflow, from its jobs'."""
    found = set(results)
    return next((word for word in ("failure", "cancelled", "success") if word in found), "skipped")


def _labels(asked: Any, contexts: Mapping[str, Any]) -> list[str]:
    if isinstance(asked, dict):
        asked = asked.get("labels") or []
    rows = asked if isinstance(asked, list) else [asked]
    return [text(str(row), contexts) for row in rows if row]


def _step(step: Mapping[str, Any], contexts: Mapping[str, Any]) -> StepOrder:
    run, uses = text(str(step.get("run") or ""), contexts), str(step.get("uses") or "")
    env = {str(name): text(str(said), contexts) for name, said in (step.get("env") or {}).items()}
    name = text(
        str(step.get("name") or f"Run {(run or uses).strip().splitlines()[0] if run or uses else ''}"), contexts
    )
    asked = str(step.get("if") or "success()").strip()
    asked = asked[3:-2].strip() if asked.startswith("${{") and asked.endswith("}}") else asked
    return StepOrder(name, run, uses, asked, env, str(step.get("shell") or "bash"))
