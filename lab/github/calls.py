"""Workflow files that others call: all of them are read before anything runs, and held against what they are given."""

from __future__ import annotations

from collections.abc import Mapping

from lab.github.workflowfile import BadFile, File, JobText, read

DEEPEST = 10
"""Levels of calls that GitHub allows, the first file among them."""


def load(path: str, tree: Mapping[str, bytes]) -> dict[str, File]:
    """The file and every file that it calls, by path. Raises BadFile."""
    found: dict[str, File] = {}
    _load(path, tree, found, 1)
    return found


def called(job: JobText) -> str:
    """The path of what a job calls."""
    return job.uses.removeprefix("./")


def _load(path: str, tree: Mapping[str, bytes], found: dict[str, File], depth: int) -> None:
    if depth > DEEPEST:
        raise BadFile(f"{path}: calls go {DEEPEST} levels deep and no deeper")
    if path not in tree:
        raise BadFile(f"{path}: it is not in the repository")
    file = found[path] = read(path, tree[path])
    for job in file.jobs:
        if not job.uses:
            continue
        if not job.uses.startswith("./.github/workflows/"):
            raise BadFile(f"{path}: jobs.{job.id}: the lab calls files of its own repository, not {job.uses}")
        _load(called(job), tree, found, depth + 1)
        _suits(f"{path}: jobs.{job.id}", job, found[called(job)])


def _suits(where: str, job: JobText, file: File) -> None:
    if "workflow_call" not in file.triggers:
        raise BadFile(f"{where}: {file.path} is not to be called: it has no on.workflow_call")
    handed = set() if job.secrets == "inherit" else set(job.secrets)
    for what, given, takes in (("with", set(job.given), file.takes), ("secrets", handed, file.secrets)):
        if strange := given - set(takes):
            raise BadFile(f"{where}.{what}: {file.path} takes no {', '.join(sorted(strange))}")
        must = {name for name, about in takes.items() if about.get("required") == "true"}
        if (missing := must - given) and not (what == "secrets" and job.secrets == "inherit"):
            raise BadFile(f"{where}.{what}: {file.path} requires {', '.join(sorted(missing))}")
