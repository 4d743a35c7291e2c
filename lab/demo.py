"""`python -m lab.demo`: three verdicts against hosts of our own, and whether they are what they should be."""

import sys
import time
from dataclasses import dataclass

from lab import suite, world
from lab.process import LabError


@dataclass(frozen=True)
class Act:
    """One scene. `fault` by engine, "" for all others, none where it is empty; the verdict line must hold `says`."""

    title: str
    slug: str
    fault: dict[str, str]
    code: int
    runner: str
    says: str


ACTS = (
    Act("All is well.", "1-healthy", {}, 0, "prod-runner-01", "√ deploy on prod-runner-01"),
    Act(
        "The primary's runner is stopped.",
        "2-failover",
        {"": "service-stopped", "loopback": "listener-killed-loopback"},
        0,
        "prod-runner-02",
        "√ deploy on prod-runner-02 (failover: prod-runner-01",
    ),
    Act(
        "Somebody registers a runner with the labels of production.",
        "3-stranger",
        {"": "stranger-registered"},
        1,
        "",
        "× do not deploy: failover/strangers-excluded",
    ),
)


def play(act: Act, engine: str) -> bool:
    print(f"\n=== {act.title}\n", flush=True)
    fault = act.fault.get(engine, act.fault.get("", ""))
    if fault:
        suite.lab("break", fault)
    said = suite.gate("quick", world.ROOT / "reports" / "latest" / "demo" / act.slug)
    if fault:
        suite.lab("heal", fault)
    good = said.code == act.code and said.runner == act.runner and act.says in said.line
    if not good:
        print(
            f"\nThat is not what it should be: exit {act.code} and a line with {act.says!r} were expected.", flush=True
        )
    return good


def main() -> int:
    started = time.monotonic()
    try:
        suite.lab("up")
        up = world.load()
        engine = up.engine if up else ""
        good = [play(act, engine) for act in ACTS]
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        suite.lab("down")
    place = world.ROOT / "reports" / "latest" / "demo"
    print(
        f"\n{sum(good)} of {len(good)} verdicts are what they should be (engine {engine}, {time.monotonic() - started:.0f} s). As pages:"
    )
    for act in ACTS:
        print(f"  {(place / act.slug / 'report.html').relative_to(world.ROOT)}")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
