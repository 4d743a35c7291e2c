"""Faults that a drill is there to find, and those that keep it from acting. Each says which drill is run under it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lab.engine import on
from lab.fault import NSPAWN, SYSTEMD, Fault
from lab.faults_github import deleted, posted
from lab.faults_hosts import NOTHING, PRIMARY
from lab.world import Lab

TAKEOVER = ("-k", "failover/takeover")
TURNS = ("-k", "serialization/waits-its-turn")
CHANGED = {"serialization/no-way-round", "serialization/lock-was-taken"}
"""A rehearsal whose file is no longer the suite's own is a job on production's runners without production's lock, and so
are the runs that it had before."""
RIGHTS = "/etc/sudoers.d/preflight-drills"


def world(name: str, story: str, drill: tuple[str, ...], breaks: Iterable[str], unknown: Iterable[str] = ()) -> Fault:
    """Something at GitHub is amiss."""
    return Fault(
        name, story, frozenset(breaks), frozenset(unknown), SYSTEMD, posted(name, None), deleted(name), drill=drill
    )


def as_root(script: str) -> Callable[[Lab], None]:
    def act(lab: Lab) -> None:
        on(lab, PRIMARY, script)

    return act


FAULTS = (
    world(
        "rehearsal-only-primary",
        "The canary deploy names the primary's label instead of the gate's choice: with the primary gone nobody takes it.",
        TAKEOVER,
        {"failover/takeover"} | CHANGED,
    ),
    world(
        "rehearsal-lock-missing",
        "The job that should take turns takes no lock.",
        TURNS,
        {"serialization/waits-its-turn"} | CHANGED | {"serialization/none-swallowed"},
    ),
    world(
        "deploy-waits",
        "A deploy waits for its approval and holds production's lock: no drill acts beside it.",
        TAKEOVER,
        {"serialization/nothing-in-flight"},
        {"failover/takeover"},
    ),
    Fault(
        "switch-forbidden",
        "The audit user may not arm the switch on the primary any more: then the drill takes nothing away.",
        NOTHING,
        frozenset({"failover/takeover"}),
        NSPAWN,
        as_root(f"cp -p {RIGHTS} /root/rights; sed -i '/systemd-run/d' {RIGHTS}"),
        as_root(f"mv /root/rights {RIGHTS}"),
        PRIMARY,
        drill=TAKEOVER,
    ),
)
