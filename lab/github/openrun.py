"""A run under way: its file, what it was given, how far it is, and what expressions of each of its jobs may read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.github.concurrency import Block
from lab.github.workflowfile import File, JobText
from lab.github.world import Call, Job, Run, World

PRIVATE = True
"""Of the lab's repository, as its answers tell."""


@dataclass
class Open:
    """Keys are a job's id, `caller/id` below a call, and `id#0`, `id#1`, … for the jobs of a matrix."""

    run: Run
    files: Mapping[str, File]
    """The file and those that it calls, by path."""
    inputs: Mapping[str, Any]
    payload: Mapping[str, Any] = field(default_factory=dict)
    """What `github.event` has beside the repository."""
    plan: dict[str, JobText] = field(default_factory=dict)
    scopes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By caller: the inputs of what it calls."""
    handed: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """By caller: the secrets that it hands on."""
    entering: dict[str, list[Block]] = field(default_factory=dict)
    """By caller: the locks that it still has to take."""
    calls: dict[str, list[Call]] = field(default_factory=dict)
    """By caller: those that it took, or waits for."""
    called: dict[str, File] = field(default_factory=dict)
    """By caller: what it calls, once its jobs are in the plan."""
    matrices: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By job: the values of each job of its matrix."""
    made: dict[str, Job] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    cancelled: bool = False
    dropped: set[str] = field(default_factory=set)
    """Callers that lost their lock while their jobs ran."""
    waiting_orders: dict[int, str] = field(default_factory=dict)
    """Jobs that are not in the queue yet, by id: their key."""

    @property
    def file(self) -> File:
        return self.files[self.run.path]

    @property
    def done(self) -> bool:
        return set(self.results) == set(self.plan)

    def begun(self, key: str) -> bool:
        return any(key in some for some in (self.results, self.made, self.called, self.entering, self.matrices))

    def file_of(self, key: str) -> File:
        """The file that a job stands in."""
        caller = above(key)
        return self.called[caller] if caller else self.file

    def needs(self, key: str) -> list[str]:
        below = above(key)
        return [f"{below}/{need}" if below else need for need in self.plan[key].needs]

    def ancestors(self, key: str) -> set[str]:
        """Everything that a job needs, and what that needs."""
        found: set[str] = set()
        left = self.needs(key)
        while left:
            each = left.pop()
            if each not in found:
                found.add(each)
                left += self.needs(each)
        return found

    def status(self, key: str) -> str:
        """What `success()`, `failure()` and `cancelled()` of a job's condition see. GitHub asks all ancestors."""
        if self.cancelled or any(key.startswith(f"{caller}/") for caller in self.dropped):
            return "cancelled"
        results = {self.results[each] for each in self.ancestors(key) if each in self.results}
        return "failure" if "failure" in results else "skipped" if results - {"success"} else "success"

    def inner(self, key: str) -> list[str]:
        """The jobs of a call, or of a matrix."""
        return [each for each in self.plan if each.startswith((f"{key}/", f"{key}#")) and above(each, key) == key]

    def contexts(self, world: World, key: str) -> dict[str, Any]:
        """What expressions of that job may read, but for secrets. Its inputs are the caller's gifts below a call."""
        run, below = self.run, above(key)
        start = f"{below}/" if below else ""
        siblings = {
            name.removeprefix(start): {"result": result, "outputs": dict(self.outputs.get(name, {}))}
            for name, result in self.results.items()
            if name.startswith(start) and not set(name.removeprefix(start)) & set("/#")
        }
        values, place, total = self._leg(key)
        wanted = set(self.plan[key].needs) if key in self.plan else set()
        return {
            "github": {
                "sha": run.sha, "ref": f"refs/heads/{run.branch}", "ref_name": run.branch, "ref_type": "branch",
                "actor": run.actor, "triggering_actor": run.actor, "event_name": run.event,
                "repository": world.full_name, "run_id": str(run.id), "run_number": str(run.number),
                "run_attempt": str(run.last.number if run.attempts else 1), "workflow": self.file.name,
                "repository_owner": world.owner, "job": key.rpartition("/")[2].partition("#")[0],
                "event": {"repository": {"private": PRIVATE, "full_name": world.full_name}, **self.payload},
            },
            "inputs": dict(self.scopes[below] if below else self.inputs),
            "needs": {name: found for name, found in siblings.items() if name in wanted},
            "jobs": siblings,
            "vars": {name: it.value for name, it in (world.org_variables | world.variables).items()},
            "matrix": values,
            "strategy": {"job-index": place, "job-total": total},
        }  # fmt: skip

    def _leg(self, key: str) -> tuple[Mapping[str, Any], int, int]:
        """The values of a job of a matrix, its place, and how many there are."""
        for part in prefixes(key):
            job, sign, place = part.rpartition("#")
            if sign and job in self.matrices and (part == key or key.startswith(f"{part}/")):
                return self.matrices[job][int(place)], int(place), len(self.matrices[job])
        return {}, 0, 1

    def secrets(self, key: str, environment: str, world: World, values: Mapping[str, str]) -> dict[str, str]:
        """What a job may read: its repository's or what a caller handed on, and then its environment's.

        `values` are the true ones that the lab was told; the others open nothing.
        """
        below, guard = above(key), world.environment(environment) if environment else None
        own = [] if below else [*world.org_secrets, *world.secrets]
        found = dict(self.handed[below]) if below else {}
        for name in [*own, *(guard.secrets if guard else ())]:
            found[name] = values.get(name, f"lab-value-of-{name.lower()}")
        return found


def above(key: str, top: str = "") -> str:
    """The call that a job stands below; with `top`, the call or matrix below which it stands directly."""
    if top:
        rest = key.removeprefix(top)
        return top if rest[:1] in "/#" and not set(rest[1:]) & set("/#") else ""
    return key.rpartition("/")[0]


def prefixes(key: str) -> Iterator[str]:
    """The key, and each call above it, the nearest first."""
    while key:
        yield key
        key = above(key)
