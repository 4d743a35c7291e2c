"""A workflow file as the stand-in runs it: triggers, inputs, locks, and jobs with what they need. All of it still text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from lab.github.concurrency import Block
from lab.github.expressions import Contexts, text

MOST_INPUTS = 25


class BadFile(ValueError):
    """A file that GitHub would not run."""


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
    uses: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Mapping[str, Any], ...] = ()
    timeout: float = 360.0


@dataclass(frozen=True)
class File:
    path: str
    name: str
    run_name: str
    triggers: frozenset[str]
    inputs: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, str]
    """Of a workflow that is called: the text behind each output."""
    lock: Lock | None
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
    on = root.get("on")
    triggers = {on: None} if isinstance(on, str) else dict.fromkeys(on) if isinstance(on, list) else _map(on)
    return File(
        path,
        str(root.get("name") or path),
        str(root.get("run-name") or ""),
        frozenset(triggers),
        _map(_map(triggers.get("workflow_dispatch")).get("inputs")),
        {k: str(_map(v).get("value", "")) for k, v in _map(_map(triggers.get("workflow_call")).get("outputs")).items()},
        _lock(root.get("concurrency"), path),
        _map(root.get("env")),
        tuple(_job(str(name), _map(job), path) for name, job in root["jobs"].items()),
    )


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _lock(value: Any, path: str) -> Lock | None:
    if not value:
        return None
    if isinstance(value, str):
        return Lock(value)
    block = _map(value)
    lock = Lock(
        str(block.get("group", "")), str(block.get("cancel-in-progress", "false")), str(block.get("queue", "single"))
    )
    if lock.queue == "max" and lock.cancel.casefold() == "true":
        raise BadFile(f"{path}: queue: max cannot be combined with cancel-in-progress: true")
    return lock


def _job(name: str, job: Mapping[str, Any], path: str) -> JobText:
    needs, environment = job.get("needs") or (), job.get("environment") or ""
    named = _map(environment)
    return JobText(
        name,
        str(job.get("name") or name),
        (needs,) if isinstance(needs, str) else tuple(needs),
        str(job.get("if") or ""),
        job.get("runs-on") or "",
        str(named.get("name", "") if named else environment),
        str(named.get("deployment", "true")) != "false",
        _lock(job.get("concurrency"), path),
        str(job.get("uses") or ""),
        _map(job.get("with")),
        _map(job.get("env")),
        tuple(step for step in job.get("steps") or () if isinstance(step, dict)),
        float(job.get("timeout-minutes") or 360),
    )
