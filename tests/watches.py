"""Looks at a run as a watch writes them down, for the tests: times in seconds after the run began."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fixtures.facts.sights import Gap, HostSight, Job, Proc, Sight, Story, Worn
from fixtures.facts.watched import Finding, judge
from tests import worlds

START = worlds.NOW.timestamp()
LABELS = ("self-hosted", "prod-1")
UNIT_SAYS = "actions.runner.acme-widgets.prod-1.service is inactive (dead)"


def job(status: str = "in_progress", **changes: Any) -> Job:
    """The deploy job: taken at once by prod-1 unless it is queued or waits; `began`, `ended`, `since` and `moved` are
    seconds after START."""
    taken = status in ("in_progress", "completed")
    times = {key: changes.pop(key) for key in ("since", "began", "ended", "moved") if key in changes}
    made = Job(
        7,
        "Deploy",
        "deploys",
        status,
        "success" if status == "completed" else "",
        "prod-1" if taken else "",
        "production" if taken else "",
        LABELS,
        START,
        START if taken else 0.0,
        START + 60 if status == "completed" else 0.0,
        START if taken else 0.0,
        "Deploy" if status == "in_progress" else "",
        False,
    )
    return replace(made, **changes, **{key: START + value for key, value in times.items()})


def gate(status: str = "queued", **changes: Any) -> Job:
    made = job(status, labels=("self-hosted", "preflight-control"))
    return replace(made, id=6, name="preflight / Gate", role="gates", **changes)


def worn(name: str = "prod-1", online: bool = True, **changes: Any) -> Worn:
    return replace(Worn(name, "production", online, False, ("production", name, "self-hosted")), **changes)


POOL = (worn(), worn("prod-2"))
OFFLINE = (worn(online=False), worn("prod-2"))


def host(age: float = 60.0, **changes: Any) -> HostSight:
    """A host on which the job runs well."""
    made = HostSight(
        "prod-1",
        "answered",
        told=("unit", "processes", "diag", "disks", "memory"),
        unit="active",
        unit_says="the unit is active",
        listeners=(Proc(68, "S", 90_000.0),),
        workers=(Proc(99, "S", age),),
        renewed=20.0,
        memory_says="memory is there",
    )
    return replace(made, **changes)


def away(reach: str = "no-answer") -> HostSight:
    return HostSight("prod-1", reach, f"prod-1 gives {reach}", "ssh prod-1 true")


def sight(at: float, *jobs: Job, pool: tuple[Worn, ...] | None = None, **changes: Any) -> Sight:
    made = Sight(START + at, True, 1, "in_progress", "", jobs, pool is not None, pool or ())
    return replace(made, **changes)


def blind(at: float, what: str = "GitHub's /runs/1: no answer in time", *, final: bool = False) -> Sight:
    return Sight(START + at, False, gaps=(Gap("GitHub", what, "see its status", final),))


def story(*sights: Sight, **changes: Any) -> Story:
    return replace(Story(1, worlds.DEPLOY, "main", sights), **changes)


def found(*sights: Sight, **limits: Any) -> Finding:
    """What all of them together tell."""
    world = worlds.world()
    return judge(story(*sights), replace(world, limits=replace(world.limits, **limits)))


def looks(*hosts: HostSight, of: Job | None = None, pool: tuple[Worn, ...] | None = None) -> list[Sight]:
    """One look every thirty seconds, each with one of these hosts."""
    running = of or job()
    return [sight(30.0 * n, running, hosts=(one,), pool=pool) for n, one in enumerate(hosts, 1)]
