"""Small true worlds for the tests: a valid context, runners, registrations, workflows, and recorded answers."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from fixtures import context, workflows
from fixtures.ask import Answer, Recorded
from fixtures.facts.context import (
    Approval,
    Context,
    Deploy,
    Environment,
    GitHub,
    Rollback,
    Runner,
    Selector,
    Source,
    Target,
)
from fixtures.facts.host import Disks, Mount
from fixtures.facts.limits import Size
from fixtures.facts.processes import Process, Processes
from fixtures.facts.record import Artifact, Artifacts, Deployment, Record
from fixtures.facts.registrations import Registration, Registrations
from fixtures.facts.seen import HostSeen, Output
from fixtures.facts.unit import Unit
from fixtures.facts.workflows import Workflow, Workflows
from fixtures.looks import Run
from fixtures.seen import load

ROOT = Path(__file__).resolve().parents[1]
HEALTHY = ROOT / "tests" / "recordings" / "healthy"
DRILLS = ROOT / "tests" / "recordings" / "drills"
NOW = datetime(2026, 11, 24, 4, 5, tzinfo=UTC)
TODAY = NOW.date()
REPO = "/repos/acme/widgets"
BASE = "https://api.github.com"
DEPLOY = ".github/workflows/deploy-production.yml"
ROLLBACK = ".github/workflows/rollback.yml"
PREFLIGHT = "./.github/workflows/preflight.yml"
CHOSEN = "${{ fromJSON(needs.preflight.outputs.runs-on) }}"
APPROVAL = Approval("production-owner", "INFRA-472", date(2027, 2, 22))
OLD, NEW = "a" * 40, "b" * 40


def runner(name: str = "prod-1", role: Any = "primary", **changes: Any) -> Runner:
    """An approved runner with a label of its own."""
    labels = ("self-hosted", "Linux", "production", name)
    made = Runner(name, role, "/opt/actions-runner", "runner", labels, ("self-hosted", name), host=name)
    return replace(made, **{"group": "production", "approved": APPROVAL, **changes})


def world(**changes: Any) -> Context:
    """A primary, a secondary, one target, the preflight as selector."""
    made = Context(
        version=1,
        name="test",
        github=GitHub(repository="acme/widgets", token=Source(env="TOKEN"), api_url=BASE),
        environment=Environment("production"),
        secrets=("DEPLOY_KEY",),
        deploy=Deploy(DEPLOY, "deploy", "production"),
        rollback=Rollback(ROLLBACK, "version", "widgets-{sha}"),
        runners=(runner(), runner("prod-2", "secondary")),
        targets=(Target("shop", url="https://shop.example.com/health"),),
        selectors=(Selector(PREFLIGHT),),
    )
    return replace(made, **changes)


def registration(name: str = "prod-1", number: int = 1, **changes: Any) -> Registration:
    """What GitHub knows of `runner(name)`, online and idle."""
    custom = frozenset({"production", name})
    made = Registration(
        number, name, True, False, custom | {"self-hosted", "linux"}, custom, "production", "organization"
    )
    return replace(made, **changes)


def registrations(*more: Registration) -> Registrations:
    """Both runners of `world()`, and more."""
    return Registrations((registration(), registration("prod-2", 2), *more))


UNIT = "actions.runner.acme-widgets.prod-1.service"


def listener(**changes: Any) -> Process:
    return replace(Process("listener", 68, 60, "runner", "S", UNIT, 9000.0), **changes)


def worker(**changes: Any) -> Process:
    return replace(Process("worker", 99, 68, "runner", "S", UNIT, 300.0), **changes)


def processes(*found: Process, service: str = UNIT, quiet: float = 9000.0) -> Processes:
    """A listener, and whatever else; with any given, those alone."""
    all_ = found or (listener(),)
    of = {kind: tuple(p for p in all_ if p.kind == kind) for kind in ("listener", "worker")}
    return Processes(service, of["listener"], of["worker"], quiet)


def unit(**changes: Any) -> Unit:
    made = Unit(UNIT, True, "active", "running", True, "success", 0)
    return replace(made, **changes)


def mount(path: str = "/", **changes: Any) -> Mount:
    made = Mount(path, "/", Size(100 * 1024**3), Size(50 * 1024**3), 1000, 900, True)
    return replace(made, **changes)


def disks(*mounts: Mount) -> Disks:
    return Disks(mounts or (mount(), mount("/opt/actions-runner")))


def deployment(number: int, sha: str, succeeded: bool = True) -> Deployment:
    return Deployment(number, sha, NOW - timedelta(days=10 - number), succeeded)


def record(**changes: Any) -> Record:
    """Production runs NEW, and could return to OLD."""
    made = Record("production", (deployment(2, NEW), deployment(1, OLD)), False, True)
    return replace(made, **changes)


def artifact(**changes: Any) -> Artifact:
    made = Artifact(f"widgets-{OLD}", False, NOW - timedelta(days=2), NOW + timedelta(days=88), "sha256:" + "0" * 64)
    return replace(made, **changes)


def artifacts(*found: Artifact) -> Artifacts:
    return Artifacts(f"widgets-{OLD}", found)


def job_text(**keys: Any) -> dict[str, Any]:
    """A production job as its YAML has it; a key that is None is left out."""
    made = {
        "needs": "preflight",
        "runs-on": CHOSEN,
        "environment": "production",
        "concurrency": {"group": "production", "cancel-in-progress": False},
        "steps": [{"run": "make deploy"}],
        **{key.replace("_", "-"): value for key, value in keys.items()},
    }
    return {key: value for key, value in made.items() if value is not None}


def workflow(
    jobs: Mapping[str, Any], path: str = DEPLOY, on: Any = "push", state: str = "active", **top: Any
) -> Workflow:
    """A file with these jobs and the preflight, read as the suite reads it."""
    source = {"on": on, "jobs": {"preflight": {"uses": PREFLIGHT}, **jobs}, **top}
    return workflows.read(path, json.dumps(source), state, world())


def deploy_file(**keys: Any) -> Workflow:
    return workflow({"deploy": job_text(**keys)})


def rollback_file(**keys: Any) -> Workflow:
    dispatch = {"workflow_dispatch": {"inputs": {"version": {"type": "string"}}}}
    return workflow(
        {"rollback": job_text(**keys)}, ROLLBACK, dispatch, **{"run-name": "Return to ${{ inputs.version }}"}
    )


def files(*more: Workflow, deploy: Workflow | None = None, rollback: Workflow | None = None) -> Workflows:
    """A deploy file and a rollback file that hold, and more."""
    return Workflows("main", (deploy or deploy_file(), rollback or rollback_file(), *more))


def answered(body: Any, status: int = 200, **headers: str) -> Answer:
    """One answer of the API."""
    return Answer(status, body, {key.replace("_", "-"): value for key, value in headers.items()})


def recorded(answers: Mapping[str, Any], base: str = BASE) -> Recorded:
    """A recording: a body is short for an answer of 200 with it."""
    return Recorded({k: v if isinstance(v, Answer) else answered(v) for k, v in answers.items()}, base)


def content(text: str) -> dict[str, Any]:
    """What the contents API says of a file."""
    return {"type": "file", "encoding": "base64", "content": base64.encodebytes(text.encode()).decode()}


def output(out: str, code: int = 0, state: Any = "done") -> Output:
    return Output(state, code, out)


@cache
def _healthy() -> tuple[dict[str, Any], Context, Run, Mapping[str, HostSeen], str]:
    raw = json.loads((HEALTHY / "github.json").read_text("utf-8"))
    seen = load(HEALTHY)
    read = context.read(HEALTHY / "context.yml", seen.run.now.date())
    return raw, read, seen.run, seen.hosts, json.loads((HEALTHY / "meta.json").read_text("utf-8"))["api_url"]


def healthy_answers() -> dict[str, Any]:
    """The healthy recording's answers, free to be changed."""
    return copy.deepcopy(_healthy()[0])


def healthy() -> tuple[Context, Run, Mapping[str, HostSeen], str]:
    """The healthy recording's context, run, hosts, and address of the API."""
    return _healthy()[1:]


def from_raw(raw: Mapping[str, Any]) -> Recorded:
    """A recording from answers as its file holds them."""
    return Recorded({key: Answer(**answer) for key, answer in raw.items()}, healthy()[3])
