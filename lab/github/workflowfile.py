"""A workflow file as the stand-in runs it: triggers, inputs, locks, and jobs with what they need. All of it still text.

What the lab does not run as GitHub does is refused here, by the key that asks for it: nothing of a file is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from lab.agent.expressions import Contexts, text
from lab.github.concurrency import Block

MOST_INPUTS = 25
ACTIONS = ("actions/checkout", "actions/upload-artifact", "actions/download-artifact")
"""Those that the lab's runner does; their inputs are held against what it knows when they run."""
SHELLS = ("bash", "sh", "python")
TOP = ("name", "run-name", "on", "permissions", "env", "defaults", "concurrency", "jobs")
JOB = ("name", "permissions", "needs", "if", "runs-on", "environment", "concurrency", "outputs", "env", "defaults",
       "steps", "timeout-minutes", "strategy", "uses", "with", "secrets")  # fmt: skip
CALLER = ("name", "permissions", "needs", "if", "concurrency", "uses", "with", "secrets")
STEP = ("id", "if", "name", "uses", "run", "working-directory", "shell", "with", "env", "continue-on-error",
        "timeout-minutes")  # fmt: skip
KINDS = ("string", "boolean", "number", "choice", "environment")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class BadFile(ValueError):
    """A file that GitHub would not run, or that the lab cannot run as GitHub would."""


@dataclass(frozen=True)
class Lock:
    """`concurrency:` as it is written."""

    group: str
    cancel: str = "false"
    queue: str = "single"

    def evaluated(self, contexts: Contexts) -> Block:
        queue: Literal["single", "max"] = "max" if self.queue == "max" else "single"
        return Block(text(self.group, contexts), text(self.cancel, contexts).casefold() == "true", queue)


@dataclass(frozen=True)
class Matrix:
    """`strategy.matrix`. `values` are lists, or one expression that gives a list; so are `include` and `exclude`."""

    values: Mapping[str, Any]
    include: Any = ()
    exclude: Any = ()
    fail_fast: bool = True


@dataclass(frozen=True)
class JobText:
    """A job of a file. `title` is its name, or its id; `environment` "" for none; `records` whether it makes a deployment."""

    id: str
    title: str
    needs: tuple[str, ...] = ()
    condition: str = ""
    runs_on: Any = ""
    environment: str = ""
    records: bool = True
    lock: Lock | None = None
    matrix: Matrix | None = None
    uses: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] | Literal["inherit"] = field(default_factory=dict)
    permissions: Any = None
    """As written; None where nothing is."""
    env: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Mapping[str, Any], ...] = ()
    """Each with the file's and the job's defaults in place."""
    timeout: str = "360"


@dataclass(frozen=True)
class File:
    path: str
    name: str
    run_name: str
    triggers: Mapping[str, Mapping[str, Any]]
    """By event, what it filters."""
    inputs: Mapping[str, Mapping[str, Any]]
    takes: Mapping[str, Mapping[str, Any]]
    """Inputs of a workflow that is called."""
    secrets: Mapping[str, Mapping[str, Any]]
    """What a call may hand on, and must where it is required."""
    outputs: Mapping[str, str]
    """Of a workflow that is called: the text behind each output."""
    lock: Lock | None
    permissions: Any
    env: Mapping[str, str]
    jobs: tuple[JobText, ...]


def read(path: str, source: bytes) -> File:
    """Raises BadFile."""
    try:
        # Every scalar stays text, and so `on` stays a word.
        root = yaml.load(source, Loader=yaml.BaseLoader)  # noqa: S506
    except yaml.YAMLError as wrong:
        raise BadFile(f"{path}: {wrong}") from None
    if not isinstance(root, dict) or not isinstance(root.get("jobs"), dict):
        raise BadFile(f"{path}: it has no jobs")
    _known(path, root, TOP)
    on = root.get("on")
    named = [on] if isinstance(on, str) else on if isinstance(on, list) else _map(on)
    triggers = {str(event): _map(_map(on).get(event)) for event in named}
    call = triggers.get("workflow_call", {})
    defaults = _defaults(path, root.get("defaults"))
    jobs = tuple(_job(str(name), _map(job), path, defaults) for name, job in root["jobs"].items())
    _needs(path, jobs)
    return File(
        path,
        str(root.get("name") or path),
        str(root.get("run-name") or ""),
        triggers,
        _inputs(path, triggers.get("workflow_dispatch", {})),
        _inputs(path, call),
        {str(name): _map(about) for name, about in _map(call.get("secrets")).items()},
        {str(name): str(_map(about).get("value", "")) for name, about in _map(call.get("outputs")).items()},
        _lock(root.get("concurrency"), path),
        root.get("permissions"),
        _texts(root.get("env")),
        jobs,
    )


def coerced(about: Mapping[str, Any], given: str) -> Any:
    """An input as expressions see it: a truth value and a number are none of them texts."""
    match about.get("type"):
        case "boolean":
            return given.casefold() == "true"
        case "number":
            return float(given or 0)
    return given


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> dict[str, str]:
    return {str(name): str(said) for name, said in _map(value).items()}


def _known(where: str, found: Mapping[str, Any], names: Iterable[str]) -> None:
    if strange := sorted(set(found) - set(names)):
        raise BadFile(f"{where}: the lab does not run {', '.join(strange)}")


def _inputs(path: str, trigger: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = {str(name): _map(about) for name, about in _map(trigger.get("inputs")).items()}
    for name, about in found.items():
        if about.get("type", "string") not in KINDS:
            raise BadFile(f"{path}: input {name} has the type {about['type']}")
    return found


def _lock(value: Any, path: str) -> Lock | None:
    if not value:
        return None
    if isinstance(value, str):
        return Lock(value)
    block = _map(value)
    _known(f"{path}: concurrency", block, ("group", "cancel-in-progress", "queue"))
    lock = Lock(
        str(block.get("group", "")), str(block.get("cancel-in-progress", "false")), str(block.get("queue", "single"))
    )
    if lock.queue == "max" and lock.cancel.casefold() == "true":
        raise BadFile(f"{path}: queue: max cannot be combined with cancel-in-progress: true")
    return lock


def _defaults(path: str, value: Any) -> dict[str, str]:
    """`shell` and `working-directory` of every `run:` below."""
    _known(f"{path}: defaults", _map(value), ("run",))
    run = _texts(_map(value).get("run"))
    _known(f"{path}: defaults.run", run, ("shell", "working-directory"))
    return run


def _job(name: str, job: Mapping[str, Any], path: str, defaults: Mapping[str, str]) -> JobText:
    where = f"{path}: jobs.{name}"
    if not NAME.fullmatch(name):
        raise BadFile(f"{where}: that is no job's id")
    _known(where, job, CALLER if job.get("uses") else JOB)
    needs, environment = job.get("needs") or (), job.get("environment") or ""
    named, secrets = _map(environment), job.get("secrets") or {}
    _known(f"{where}.environment", named, ("name", "url", "deployment"))
    if isinstance(secrets, str) and secrets != "inherit":
        raise BadFile(f"{where}.secrets: {secrets}")
    own = {**defaults, **_defaults(where, job.get("defaults"))}
    rows = job.get("steps") or ()
    if not job.get("uses") and (not isinstance(rows, list) or not rows or not job.get("runs-on")):
        raise BadFile(f"{where}: a job has runs-on and steps, or uses")
    return JobText(
        name,
        str(job.get("name") or name),
        (needs,) if isinstance(needs, str) else tuple(needs),
        str(job.get("if") or ""),
        job.get("runs-on") or "",
        str(named.get("name", "") if named else environment),
        str(named.get("deployment", "true")) != "false",
        _lock(job.get("concurrency"), where),
        _matrix(where, job.get("strategy")),
        str(job.get("uses") or ""),
        _texts(job.get("with")),
        "inherit" if secrets == "inherit" else _texts(secrets),
        job.get("permissions"),
        _texts(job.get("env")),
        _texts(job.get("outputs")),
        tuple(_step(f"{where}.steps[{number}]", _map(step), own) for number, step in enumerate(rows)),
        str(job.get("timeout-minutes") or 360),
    )


def _step(where: str, step: dict[str, Any], defaults: Mapping[str, str]) -> dict[str, Any]:
    _known(where, step, STEP)
    uses = str(step.get("uses") or "")
    if bool(uses) == bool(step.get("run")):
        raise BadFile(f"{where}: a step has run or uses")
    if uses:
        if uses.split("@")[0] not in ACTIONS:
            raise BadFile(f"{where}: the lab's runner has no {uses}; it has {', '.join(ACTIONS)}")
        return step
    found = {**defaults, **step}
    if found.get("shell", "bash") not in SHELLS:
        raise BadFile(f"{where}: the lab's runner has no shell {found['shell']}; it has {', '.join(SHELLS)}")
    return found


def _matrix(where: str, value: Any) -> Matrix | None:
    strategy = _map(value)
    _known(f"{where}.strategy", strategy, ("matrix", "fail-fast"))
    matrix = strategy.get("matrix")
    if not strategy:
        return None
    if not isinstance(matrix, dict):
        raise BadFile(f"{where}.strategy: the lab runs a matrix that is written out")
    fail_fast = str(strategy.get("fail-fast", "true"))
    if fail_fast not in ("true", "false"):
        raise BadFile(f"{where}.strategy: the lab does not run fail-fast: {fail_fast}")
    values = {str(k): v for k, v in matrix.items() if k not in ("include", "exclude")}
    return Matrix(values, matrix.get("include") or (), matrix.get("exclude") or (), fail_fast == "true")


def _needs(path: str, jobs: tuple[JobText, ...]) -> None:
    """Each need is a job of the file, and none needs itself in the end."""
    left = {job.id: set(job.needs) for job in jobs}
    for name, needs in left.items():
        if strange := needs - set(left):
            raise BadFile(f"{path}: jobs.{name} needs {', '.join(sorted(strange))}, which is no job")
    while left:
        ready = {name for name, needs in left.items() if not needs & set(left)}
        if not ready:
            raise BadFile(f"{path}: {', '.join(sorted(left))} need one another")
        left = {name: needs for name, needs in left.items() if name not in ready}
