"""What people and programs ask of the runs of now: dispatch, push, run again, cancel, review. `progress.py` takes them on.

The files that run are those of the commit, read by `workflowfile.py`. Of what is run again after a failure, a called
workflow and a matrix are taken as one: GitHub runs only the jobs in them again that failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from lab.agent.expressions import BadExpression, text
from lab.github import calls, given, triggers
from lab.github.concurrency import Cancelled, Member
from lab.github.jobs import moment
from lab.github.openrun import Open
from lab.github.progress import Progress
from lab.github.router import Refused, not_found
from lab.github.workflowfile import BadFile, File
from lab.github.world import Deployment, Job, Run

RERUN_DAYS = 30


class Actions(Progress):
    """Callers hold the hub's lock."""

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
        files = self._load(workflow.path, commit.tree)
        if "workflow_dispatch" not in files[workflow.path].triggers:
            raise Refused(422, "Workflow does not have 'workflow_dispatch' trigger")
        taken = given.inputs(files[workflow.path], inputs)
        branch = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        try:
            return self._begin(
                files, workflow.path, "workflow_dispatch", branch, commit.sha, actor, taken, {"inputs": dict(inputs)}
            )
        except BadFile as wrong:
            raise _invalid_file(wrong) from None

    def push(self, branch: str, sha: str, paths: Iterable[str], actor: str) -> list[Run]:
        """What the push of a commit starts. Raises BadFile for a file that would run and that the lab does not run."""
        commit = self._world().commits[sha]
        if triggers.SKIPS.search(commit.message):
            return []
        payload = {
            "ref": f"refs/heads/{branch}",
            "before": commit.parent,
            "after": sha,
            "head_commit": {"id": sha, "message": commit.message},
        }
        started: list[tuple[str, Mapping[str, File]]] = []
        for workflow in self._world().workflows:
            source = commit.tree.get(workflow.path)
            if source is None or workflow.state != "active" or not re.search(rb"\bpush\b", source):
                continue
            files = calls.load(workflow.path, commit.tree)
            if triggers.starts(files[workflow.path], branch, paths):
                started.append((workflow.path, files))
        return [self._begin(files, path, "push", branch, sha, actor, {}, payload) for path, files in started]

    def _begin(
        self, files: Mapping[str, File], path: str, event: str, branch: str, sha: str, actor: str,
        inputs: Mapping[str, Any], payload: Mapping[str, Any],
    ) -> Run:  # fmt: skip
        world, file = self._world(), files[path]
        number = 1 + max((run.number for run in world.runs if run.path == path), default=0)
        title = world.commits[sha].message.partition("\n")[0] if event == "push" else file.name
        run = Run(self.jobs.next_id(), path, number, event, branch, sha, title, actor, moment(), [])
        opened = Open(run, files, inputs, payload)
        try:
            run.title = text(file.run_name, opened.contexts(world, "")) or title
            block = file.lock.evaluated(opened.contexts(world, "")) if file.lock is not None else None
        except BadExpression as wrong:
            raise BadFile(f"{path}: {wrong}") from None
        world.runs.append(run)
        self._open[run.id] = opened
        self._start(opened, block)
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
            opened = self._open[run.id] = Open(run, self._load(run.path, commit.tree), {})
        # What succeeded stays as it was: the job, or the whole call.
        kept = {k: v for k, v in opened.results.items() if failed_only and v == "success" and not set(k) & set("/#")}
        outputs = {key: given for key, given in opened.outputs.items() if key in kept}
        opened = self._open[run.id] = Open(
            run, opened.files, opened.inputs, opened.payload, results=kept, outputs=outputs
        )
        lock = opened.file.lock
        self._start(opened, None if lock is None else lock.evaluated(opened.contexts(self._world(), "")))

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
            if opened is not None and job.status == "in_progress" and not force and self._goes_on(opened, job):
                continue
            if job.status != "completed" and not self.jobs.cancel(world, job.id):
                self._end(run, job, "cancelled")
            if force and job.status != "completed":
                self.jobs.force(world, job.id)
        if opened is not None:
            self._advance(opened)

    def _goes_on(self, opened: Open, job: Job) -> bool:
        """Whether the condition of a running job is true of a cancelled run too: GitHub lets it run on."""
        key = self._key(opened.run, job)
        if not key:
            return False
        return self._wanted(opened, key, opened.contexts(self._world(), key))

    def review(self, run: Run, environments: list[str], state: str, who: str) -> list[Deployment]:
        """An approval, or a rejection, of what waits for these environments. Raises Refused."""
        found = self._guards.reviewable(run, environments, who)
        for job in found:
            if state != "approved":
                self._end(run, job, "failure")
                continue
            run.approved_by = who
            if self._guards.passes(job, "review"):
                self._into_queue(run, job)
        return [self._guards.records[job.id] for job in found if job.id in self._guards.records]

    def _load(self, path: str, tree: Mapping[str, bytes]) -> Mapping[str, File]:
        try:
            return calls.load(path, tree)
        except BadFile as wrong:
            raise _invalid_file(wrong) from None


def _invalid_file(wrong: BadFile) -> Refused:
    return Refused(422, f"Invalid workflow file: {wrong}")
