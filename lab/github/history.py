"""The healthy world: acme/widgets with four weeks of deploys behind it, laid back in time from now.

Deterministic apart from the moment it hangs on: the same ids, shas, durations and runners in every lab.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from lab.github.runs import RunMaker
from lab.github.world import (
    Artifact,
    Branch,
    Commit,
    Environment,
    Group,
    Named,
    Release,
    Ruleset,
    Runner,
    Workflow,
    World,
    fake_sha,
)

REPOSITORY = Path(__file__).resolve().parent.parent / "repository"
CANARY = ".github/workflows/secret-canary.yml"
REHEARSALS = (
    ".github/workflows/rehearsal.yml",
    ".github/workflows/rehearsal-lock.yml",
    ".github/workflows/rehearsal-rollback.yml",
)
DEPLOYS = 30
WINDOW = timedelta(days=28)
FAILED_DEPLOY = 16
"""Which deploy failed, counted from the oldest: far enough back to be outside a seven-day success rate."""
SECOND_ATTEMPTS = frozenset({7, 21})
ON_STANDBY = frozenset({5, 13, 26})
ARTIFACT_LIFE = timedelta(days=90)
TICKET = "INFRA-472"
"""What every commit names, as this team does."""

PRODUCTION_GROUP = 3
DEFAULT_GROUP = 1


def repository_files(root: Path = REPOSITORY) -> dict[str, bytes]:
    """The files that the stand-in serves, by their path in the repository."""
    found = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    # The project's own, as a team would copy it.
    return found | {path: (REPOSITORY.parent.parent / path).read_bytes() for path in (CANARY, *REHEARSALS)}


def build(owner: str, repo: str, now: datetime, files: Mapping[str, bytes]) -> World:
    """The healthy world as it is at `now`."""
    now = now.replace(microsecond=0)
    world = World(owner=owner, repo=repo, now=now, created=now - timedelta(days=900))
    dice = random.Random(472)
    _runners(world)
    _settings(world)
    _workflows(world, files)
    shas = _commits(world, files)
    make = RunMaker(world, dice)
    plan = [
        *_deploys(world, make, dice, shas),
        _rollback(world, make, shas),
        *_ci(world, make, dice, shas),
        *_nightlies(world, make, shas),
    ]
    for _, happen in sorted(plan, key=lambda event: event[0]):
        happen()
    make.canary(shas[-1], now - timedelta(hours=9))
    return world


def _runners(world: World) -> None:
    world.groups = [
        Group(DEFAULT_GROUP, "Default", "all", default=True),
        Group(PRODUCTION_GROUP, "production", "selected", repositories=(world.full_name,)),
    ]
    world.runners = [
        Runner(101, "prod-runner-01", ["production", "prod-runner-01"], PRODUCTION_GROUP, "org"),
        Runner(102, "prod-runner-02", ["production", "prod-runner-02"], PRODUCTION_GROUP, "org"),
        Runner(103, "build-runner-01", ["build"], DEFAULT_GROUP, "repo", always_online=True),
    ]


def _settings(world: World) -> None:
    def named(name: str, days: int, value: str = "") -> Named:
        return Named(name, world.now - timedelta(days=days + 200), world.now - timedelta(days=days), value)

    production = Environment(
        id=5_550_001,
        name="production",
        created=world.now - timedelta(days=800),
        reviewers=True,
        protected_branches=True,
    )
    for secret in (named("DEPLOY_KEY", 40), named("REGISTRY_TOKEN", 25)):
        production.secrets[secret.name] = secret
    production.variables["WIDGETS_ROOT"] = named("WIDGETS_ROOT", 300, "/srv/widgets")
    rehearsal = Environment(id=5_550_002, name="rehearsal", created=world.now - timedelta(days=700))
    rehearsal.secrets["REHEARSAL_KEY"] = named("REHEARSAL_KEY", 30)
    world.environments = [production, rehearsal]
    world.rulesets = [
        Ruleset(4_400_001, "history stays", ("~DEFAULT_BRANCH",), ("deletion", "non_fast_forward")),
        Ruleset(4_400_002, "who releases", ("refs/tags/v*",), ("creation", "update"), "tag"),
    ]
    world.token_ends = world.now + timedelta(days=60)
    world.org_variables["COMPANY"] = named("COMPANY", 500, "acme")
    world.secrets["CODECOV_TOKEN"] = named("CODECOV_TOKEN", 60)
    world.variables["PYTHON_VERSION"] = named("PYTHON_VERSION", 120, "3.11")


def _workflows(world: World, files: Mapping[str, bytes]) -> None:
    paths = sorted(p for p in files if p.startswith(".github/workflows/") and p.endswith((".yml", ".yaml")))
    for number, path in enumerate(paths):
        world.workflows.append(
            Workflow(88_800_101 + number, workflow_name(files[path], path), path, world.now - timedelta(days=700))
        )


def workflow_name(source: bytes, path: str) -> str:
    """The `name:` of a workflow file; its path where it has none, as GitHub does."""
    for line in source.decode("utf-8", "replace").splitlines():
        if line.startswith("name:"):
            return line.removeprefix("name:").strip().strip("'\"")
    return path


def _commits(world: World, files: Mapping[str, bytes]) -> list[str]:
    """A straight line of commits, oldest first: one for each deploy and, at the head, one not deployed yet."""
    shas: list[str] = []
    for number in range(DEPLOYS + 1):
        left = WINDOW * (1 - number / DEPLOYS)
        sha = fake_sha(f"commit {number}")
        tree = {**files, "VERSION": f"1.{number}.0\n".encode()}
        parent = shas[-1] if shas else ""
        when = (world.now - left - timedelta(hours=1)).replace(microsecond=0)
        world.commits[sha] = Commit(sha, f"Widgets 1.{number}.0\n\n{TICKET}", "acme-developer", when, parent, tree)
        shas.append(sha)
    topic = fake_sha("topic")
    world.commits[topic] = Commit(
        topic,
        f"Widgets with gears\n\n{TICKET}",
        "acme-developer",
        world.now - timedelta(hours=20),
        shas[-2],
        {**files, "gears": b"12\n"},
    )
    world.branches = [Branch("main", shas[-1], protected=True), Branch("topic/gears", topic, protected=False)]
    for number in (10, 20):
        world.releases.append(
            Release(6_600_000 + number, f"v1.{number}.0", shas[number], world.commits[shas[number]].when)
        )
    return shas


Event = tuple[datetime, Callable[[], object]]
"""When, and what then happens: in order of time, so that ids grow with time as GitHub's do."""


def _deploys(world: World, make: RunMaker, dice: random.Random, shas: list[str]) -> list[Event]:
    events: list[Event] = []
    for number in range(DEPLOYS):
        created = world.now - WINDOW * (1 - number / DEPLOYS) + timedelta(hours=6, minutes=dice.randrange(120))
        created = created.replace(microsecond=0)
        events.append((created, partial(_deploy, world, make, number, shas[number], created, dice.randint(200, 420))))
    return events


def _deploy(world: World, make: RunMaker, number: int, sha: str, created: datetime, seconds: int) -> None:
    ok = number != FAILED_DEPLOY
    run = make.production(
        path=".github/workflows/deploy-production.yml",
        job="deploy",
        event="push" if number % 3 else "workflow_dispatch",
        sha=sha,
        title=f"Widgets 1.{number}.0" if number % 3 else "Deploy production",
        created=created,
        runner="prod-runner-02" if number in ON_STANDBY else "prod-runner-01",
        seconds=seconds,
        ok=ok,
        refused_first=number in SECOND_ATTEMPTS,
    )
    if ok:
        world.artifacts.append(artifact(world, run.id, sha, run.jobs()[-1].completed or created))


def artifact(world: World, run_id: int, sha: str, created: datetime) -> Artifact:
    """What a deploy of `sha` keeps for the day it is needed again."""
    return Artifact(
        id=world.next_id() - 36_000_000_000,
        run_id=run_id,
        name=f"widgets-{sha}",
        size=4_812_330,
        digest="sha256:" + hashlib.sha256(f"widgets {sha}".encode()).hexdigest(),
        sha=sha,
        branch=world.default_branch,
        created=created,
        expires=created + ARTIFACT_LIFE,
    )


def _rollback(world: World, make: RunMaker, shas: list[str]) -> Event:
    """A rehearsal, 20 days ago, in a gap between two deploys. GitHub records the sha that the run was started on."""
    at = world.now - timedelta(days=20)
    head = next(sha for sha in reversed(shas) if world.commits[sha].when < at)
    return at, partial(
        make.production,
        path=".github/workflows/rollback.yml",
        job="rollback",
        event="workflow_dispatch",
        sha=head,
        title=f"Return to {head}",
        created=at,
        runner="prod-runner-01",
        seconds=95,
        ok=True,
    )


def _ci(world: World, make: RunMaker, dice: random.Random, shas: list[str]) -> list[Event]:
    topic = world.branches[1]
    events: list[Event] = []
    for number in range(8):
        pull = number % 4 == 3
        at = world.now - timedelta(hours=(8 - number) * 5, minutes=dice.randrange(60))
        events.append(
            (
                at,
                partial(
                    make.ci,
                    event="pull_request" if pull else "push",
                    branch=topic.name if pull else world.default_branch,
                    sha=topic.sha if pull else shas[DEPLOYS - 7 + number],
                    created=at,
                    seconds=dice.randint(60, 180),
                ),
            )
        )
    return events


def _nightlies(world: World, make: RunMaker, shas: list[str]) -> list[Event]:
    """The last four nights, the newest three hours ago."""
    ats = [world.now - timedelta(days=days, hours=3) for days in (3, 2, 1, 0)]
    return [(at, partial(make.nightly, sha=shas[-1], created=at)) for at in ats]
