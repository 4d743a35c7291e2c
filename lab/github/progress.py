"""How a run of now goes on: through needs, locks and approvals, up to the queue where runners find its jobs, and to its end.

What a runner does with a job is `jobs.py`'s; this hears of it through `Jobs.changed`. GitHub's own machines are none of the
lab's: a job for one ends well at once, with the outputs that the lab's door gave for its workflow (`outputs`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lab.agent.expressions import BadExpression, condition, text
from lab.github import calls, concurrency, given, matrix, orders
from lab.github.artifacts import Kept
from lab.github.concurrency import Block, Cancelled, Member
from lab.github.guards import Guards
from lab.github.jobs import Jobs, moment, roll_up
from lab.github.openrun import Open
from lab.github.runs import HOSTED
from lab.github.tokens import Grant
from lab.github.workflowfile import JobText, coerced
from lab.github.world import Attempt, Call, Job, Run, World

MACHINES = re.compile(r"(ubuntu|windows|macos)(-.*)?", re.IGNORECASE)
INVALID = "The workflow is not valid. {path} (job: {job}): {wrong}"


class Progress:
    """Callers hold the hub's lock; `world` gives the world as it is laid at the moment."""

    def __init__(self, jobs: Jobs, world: Callable[[], World]) -> None:
        self.jobs = jobs
        self.outputs: dict[str, Mapping[str, str]] = {}
        """By the path of a workflow file: what its jobs on GitHub's machines give."""
        self.secrets: dict[str, str] = {}
        """The true values of secrets, by name. Of all others nobody here holds one."""
        self.artifacts = Kept(jobs.next_id)
        self.issued: dict[str, Grant] = {}
        """The tokens of jobs that have not ended."""
        self._world = world
        self._open: dict[int, Open] = {}
        self._guards = Guards(jobs, world)
        self._tokens: dict[int, str] = {}
        """By the id of a job."""
        jobs.changed.append(self._changed)

    def into(self, world: World) -> None:
        """Puts the runs of now, and what they made, into a world that was laid anew."""
        known = {run.id for run in world.runs}
        world.runs += [it.run for it in self._open.values() if it.run.id not in known]
        world.deployments += list(self._guards.records.values())
        self.artifacts.into(world)

    def _start(self, opened: Open, block: Block | None) -> None:
        now = moment()
        run = opened.run
        run.attempts.append(Attempt(len(run.attempts) + 1, "queued", None, now, now, []))
        opened.plan = {job.id: job for job in opened.file.jobs}
        if block is not None:
            self._ask(Member(run), block)
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
                if not opened.begun(key) and all(need in opened.results for need in opened.needs(key)):
                    self._guarded(opened, key, job)
                    again = True
            for key in [*opened.called, *opened.matrices]:
                inner = opened.inner(key)
                if key not in opened.results and all(each in opened.results for each in inner):
                    self._gathered(opened, key, inner)
                    again = True
        if opened.run.attempts and opened.run.last.jobs:
            roll_up(opened.run)
        if opened.done:
            self._finish(opened)
        elif opened.run.attempts and opened.run.last.status == "completed":
            opened.run.last.status, opened.run.last.conclusion = "queued", None
        if any(call.lease == "pending" for call in opened.run.last.calls) and opened.run.last.status == "queued":
            opened.run.last.status = "pending"

    def _gathered(self, opened: Open, key: str, inner: list[str]) -> None:
        """All jobs of a call, or of a matrix, have ended."""
        opened.results[key] = given.together(opened.results[each] for each in inner)
        if key in opened.called:
            contexts = opened.contexts(self._world(), f"{key}/x")
            try:
                opened.outputs[key] = {
                    name: text(source, contexts) for name, source in opened.called[key].outputs.items()
                }
            except BadExpression:
                opened.results[key] = "failure"
            for call in reversed(opened.calls.get(key, [])):
                self._released(call)
            return
        told: dict[str, Any] = {}
        for each in inner:
            told |= {name: value for name, value in opened.outputs.get(each, {}).items() if value}
        opened.outputs[key] = told

    def _finish(self, opened: Open) -> None:
        run = opened.run
        if run.last.status != "completed":
            run.last.status, run.last.conclusion = "completed", given.together(opened.results.values())
            run.last.updated = moment()
        self._released(run)

    def _guarded(self, opened: Open, key: str, job: JobText) -> None:
        """A job that asks for what cannot be worked out fails, and says why."""
        try:
            self._make(opened, key, job)
        except BadExpression as wrong:
            made = opened.made.get(key) or self._job(opened, key, job, "queued", None)
            opened.waiting_orders.pop(made.id, None)
            self._invalid(opened, key, made, wrong)

    def _wanted(self, opened: Open, key: str, contexts: Mapping[str, Any]) -> bool:
        asked = opened.plan[key].condition or "success()"
        return condition(asked, {**contexts, "job status": opened.status(key)})

    def _make(self, opened: Open, key: str, job: JobText) -> None:
        """Raises BadExpression."""
        contexts = opened.contexts(self._world(), key)
        leg = "#" in key.rpartition("/")[2]
        if not leg and not self._wanted(opened, key, contexts):
            word = "cancelled" if opened.status(key) == "cancelled" else "skipped"
            opened.results[key] = word
            if not job.uses:
                self._job(opened, key, job, "completed", word)
            return
        if job.matrix is not None:
            rows = opened.matrices[key] = matrix.combinations(job.matrix, contexts)
            for place, values in enumerate(rows):
                title = matrix.titled(job.title, values)
                opened.plan[f"{key}#{place}"] = replace(job, matrix=None, title=title)
            return
        if job.uses:
            self._call(opened, key, job, contexts)
            return
        labels = given.labels(job.runs_on, contexts)
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
        """What a call is given, and the locks before it: the calling job's, and then the called file's."""
        world, file = self._world(), opened.files[calls.called(job)]
        hidden = opened.secrets(key, "", world, self.secrets)
        passed = {name: text(said, {**contexts, "secrets": hidden}) for name, said in job.given.items()}
        opened.scopes[key] = {
            name: coerced(about, passed.get(name, str(about.get("default", "")))) for name, about in file.takes.items()
        }
        opened.handed[key] = (
            hidden
            if job.secrets == "inherit"
            else {name: text(said, {**contexts, "secrets": hidden}) for name, said in job.secrets.items()}
        )
        opened.entering[key] = [] if job.lock is None else [job.lock.evaluated(contexts)]
        if file.lock is not None:
            opened.entering[key].append(file.lock.evaluated({**contexts, "inputs": opened.scopes[key]}))
        self._enter(opened, key)

    def _enter(self, opened: Open, key: str) -> None:
        """Takes the locks of a call one by one; behind the last its jobs become part of the plan, as `caller / job`."""
        job, file = opened.plan[key], opened.files[calls.called(opened.plan[key])]
        while opened.entering[key]:
            call = Call(self.jobs.next_id(), self._title(opened, key, job), moment())
            opened.run.last.calls.append(call)
            opened.calls.setdefault(key, []).append(call)
            self._ask(Member(opened.run, call=call), opened.entering[key].pop(0))
            if key in opened.results or call.lease == "pending":
                return
        opened.called[key] = file
        for inner in file.jobs:
            opened.plan[f"{key}/{inner.id}"] = replace(inner, title=f"{job.title} / {inner.title}")

    def _not_entered(self, opened: Open, key: str, because: str) -> None:
        """A call that lost its place before its jobs began: it is shown as one job that was cancelled."""
        opened.results[key] = "cancelled"
        made = self._job(opened, key, opened.plan[key], "completed", "cancelled")
        made.annotations += [because] if because else []
        for call in reversed(opened.calls.get(key, [])):
            self._released(call)

    def _elsewhere(self, opened: Open, key: str, job: JobText, labels: list[str]) -> None:
        """On a machine of GitHub's."""
        made = self._job(opened, key, job, "completed", "success")
        made.labels = labels
        made.runner_id, made.runner_name, made.group_id, made.group_name = HOSTED
        opened.results[key], opened.outputs[key] = "success", self.outputs.get(opened.file_of(key).path, {})

    def _title(self, opened: Open, key: str, job: JobText) -> str:
        try:
            return text(job.title, opened.contexts(self._world(), key))
        except BadExpression:
            return job.title

    def _job(self, opened: Open, key: str, job: JobText, status: Any, conclusion: str | None) -> Job:
        now, run = moment(), opened.run
        made = Job(
            self.jobs.next_id(), run.id, run.last.number, self._title(opened, key, job), status, conclusion, now, now,
            now if status == "completed" else None, [],
        )  # fmt: skip
        run.last.jobs.append(made)
        opened.made[key] = made
        return made

    def _ask(self, member: Member, block: Block) -> None:
        for out in concurrency.ask(self._world(), member, block):
            self._drop(out)

    def _drop(self, out: Cancelled) -> None:
        """Whoever lost its place ends as cancelled, and GitHub says why."""
        run, job, call = out.member.run, out.member.job, out.member.call
        opened = self._open.get(run.id)
        if job is not None:
            if out.because:
                job.annotations.append(out.because)
            if not self.jobs.cancel(self._world(), job.id):
                self._end(run, job, "cancelled")
            return
        if call is not None:
            self._drop_call(run, call, out.because)
            return
        if out.because:
            if opened is not None:
                opened.cancelled = True
            for each in run.last.jobs:
                self._drop(Cancelled(Member(run, each), out.because)) if each.status != "completed" else None
        if opened is not None:
            for key in [key for key in opened.entering if key not in opened.called and key not in opened.results]:
                self._not_entered(opened, key, out.because)
                self._advance(opened)
        if not run.last.jobs:
            run.last.status, run.last.conclusion, run.last.updated = "completed", "cancelled", moment()
            if opened is not None:
                opened.results = dict.fromkeys(opened.plan, "cancelled")
        self._released(run)

    def _drop_call(self, run: Run, call: Call, because: str) -> None:
        opened = self._open[run.id]
        key = next(key for key, some in opened.calls.items() if call in some)
        if key not in opened.called:
            self._not_entered(opened, key, because)
            self._advance(opened)
            return
        opened.dropped.add(key)
        inner = [opened.made[each] for each in opened.plan if each.startswith(f"{key}/") and each in opened.made]
        for each in inner:
            self._drop(Cancelled(Member(run, each), because)) if each.status != "completed" else None

    def _released(self, thing: Run | Call | Job) -> None:
        for next_ in concurrency.release(self._world(), thing):
            opened = self._open.get(next_.run.id)
            if next_.job is not None:
                self._admit(next_.run, next_.job)
            elif opened is not None and next_.call is not None:
                self._enter(opened, next(key for key, some in opened.calls.items() if next_.call in some))
                self._advance(opened)
            elif opened is not None:
                next_.run.last.status = "queued"
                self._advance(opened)

    def _admit(self, run: Run, job: Job) -> None:
        """It has its lock: what its environment asks for comes next."""
        key = self._key(run, job)
        if self._guards.admits(run, job, self._open[run.id].plan[key].records if key else True):
            self._into_queue(run, job)
        else:
            roll_up(run)

    def tick(self) -> None:
        """What time alone brings: timers that have run down."""
        for run, job in self._guards.due():
            self._into_queue(run, job)

    def _into_queue(self, run: Run, job: Job) -> None:
        opened = self._open[run.id]
        key = opened.waiting_orders.pop(job.id)
        try:
            ordered = orders.order(opened, key, job, self._world(), self.secrets)
        except ValueError as wrong:
            self._invalid(opened, key, job, wrong)
            return
        self._guards.state(job, "queued")
        token = self._tokens[job.id] = ordered.secrets["GITHUB_TOKEN"]
        self.issued[token] = orders.grant(opened, key)
        self.jobs.queue(self._world(), run, job, ordered)

    def _invalid(self, opened: Open, key: str, job: Job, wrong: Exception) -> None:
        where = INVALID.format(path=opened.file_of(key).path, job=opened.plan[key].id, wrong=wrong)
        job.annotations.append(where)
        self._end(opened.run, job, "failure")

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
            self._guards.state(job, "in_progress")
        if job.status != "completed":
            return
        self._guards.state(job, "success" if job.conclusion == "success" else "failure")
        key, opened = self._key(run, job), self._open.get(run.id)
        if opened is not None and key:
            opened.waiting_orders.pop(job.id, None)
            opened.results[key] = job.conclusion or "failure"
            if job.id in self.jobs.live:
                opened.outputs[key] = dict(self.jobs.live[job.id].outputs)
            self._fail_fast(opened, key)
        self.issued.pop(self._tokens.pop(job.id, ""), None)
        if job.lease:
            self._released(job)
        if opened is not None and key:
            self._advance(opened)

    def _fail_fast(self, opened: Open, key: str) -> None:
        """The other jobs of a matrix are cancelled when one fails, unless it says otherwise."""
        group = key.rpartition("#")[0] if "#" in key.rpartition("/")[2] else ""
        block = opened.plan[group].matrix if group in opened.matrices else None
        if block is None or not block.fail_fast or opened.results[key] != "failure":
            return
        for each in opened.inner(group):
            job = opened.made.get(each)
            if job is not None and job.status != "completed" and not self.jobs.cancel(self._world(), job.id):
                self._end(opened.run, job, "cancelled")
