"""Faults that a drill is there to find, and those that keep it from acting. Each says which drill is run under it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lab import control
from lab.engine import on
from lab.fault import NSPAWN, SYSTEMD, Fault
from lab.faults_github import deleted, posted
from lab.faults_hosts import NOTHING, PRIMARY, STANDBY
from lab.faults_runner import busy, idle
from lab.world import Lab

TAKEOVER = ("-k", "failover/takeover")
TURNS = ("-k", "serialization/waits-its-turn")
CHANGED = {"serialization/no-way-round", "serialization/lock-was-taken"}
"""A rehearsal whose file is no longer the suite's own is a job on production's runners without production's lock, and so
are the runs that it had before."""
STRANGER = "laptop-of-somebody"
RIGHTS = "/etc/sudoers.d/preflight-drills"


def world(name: str, story: str, drill: tuple[str, ...], breaks: Iterable[str], unknown: Iterable[str] = ()) -> Fault:
    """Something at GitHub is amiss."""
    return Fault(
        name, story, frozenset(breaks), frozenset(unknown), SYSTEMD, posted(name, None), deleted(name), drill=drill
    )


def stranger(lab: Lab) -> None:
    """Somebody's runner with the label that the canary asks for, which takes what it gets."""
    control.begin(lab, STRANGER, ("self-hosted", "Linux", "X64", "spare"))
    posted("canary-for-a-stranger", None)(lab)


def stranger_gone(lab: Lab) -> None:
    control.stop(lab, STRANGER)
    deleted("canary-for-a-stranger")(lab)
    if STRANGER in lab.runners():
        lab.request("DELETE", f"/_lab/runners/{STRANGER}")


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
    Fault(
        "canary-for-a-stranger",
        "The canary deploy asks for a label that somebody's laptop wears, and the laptop takes it.",
        frozenset({"failover/takeover"}),
        NOTHING,
        NSPAWN,
        stranger,
        stranger_gone,
        drill=TAKEOVER,
    ),
    Fault(
        "standby-busy-when-needed",
        "The standby runs somebody's tests when the primary is lost: the gate holds, and nobody takes the deploy.",
        frozenset({"failover/takeover", "failover/standby-ready"}),
        NOTHING,
        SYSTEMD,
        busy(STANDBY, "standby-busy-when-needed"),
        idle(STANDBY, "standby-busy-when-needed"),
        drill=TAKEOVER,
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
