"""Faults of the primary as a machine: its power, its cable, its processor, and the distance to it."""

from collections.abc import Callable

from lab import distance, limits, power
from lab.engine import on
from lab.fault import NSPAWN, Fault
from lab.faults_hosts import (
    NOTHING,
    OFFLINE,
    PRIMARY,
    UNREACHABLE,
    UNSEEN,
    answers,
    does_not_answer,
    enable_service,
    health,
    unit,
)
from lab.world import Lab

FAR = 300.0
"""Milliseconds a round trip, as to another continent over a bad path."""
LOSS = 2.0


def away(act: Callable[[Lab], None]) -> Callable[[Lab], None]:
    """`act`, after which the primary answers nobody and GitHub has noticed."""

    def inject(lab: Lab) -> None:
        act(lab)
        does_not_answer(lab, PRIMARY)
        lab.wait_offline(PRIMARY)

    return inject


def back(act: Callable[[Lab], None]) -> Callable[[Lab], None]:
    def heal(lab: Lab) -> None:
        act(lab)
        answers(lab, PRIMARY)
        lab.wait_online(PRIMARY)

    return heal


def restart(lab: Lab) -> None:
    power.reboot(lab, lab.host(PRIMARY))
    lab.wait_online(PRIMARY)


def restart_without_runner(lab: Lab) -> None:
    on(lab, PRIMARY, f"systemctl disable --quiet {unit(lab, PRIMARY)}")
    power.reboot(lab, lab.host(PRIMARY))
    lab.wait_offline(PRIMARY)


def start_runner(lab: Lab) -> None:
    power.on_again(lab, lab.host(PRIMARY))
    enable_service(lab)
    on(lab, PRIMARY, f"systemctl start {unit(lab, PRIMARY)}")
    lab.wait_online(PRIMARY)


def far(delay: float, loss: float) -> Callable[[Lab], None]:
    def act(lab: Lab) -> None:
        distance.stretch(lab, lab.host(PRIMARY), delay, loss)
        answers(lab, PRIMARY)
        lab.wait_online(PRIMARY)

    return act


def finish(lab: Lab) -> None:
    """A reboot is over when it is over, and this one may have been cut short."""
    power.on_again(lab, lab.host(PRIMARY))
    lab.wait_online(PRIMARY)


GONE = UNREACHABLE | health(PRIMARY, "online")

FAULTS: tuple[Fault, ...] = (
    Fault("power-cut", "The primary has lost its power: nothing answers at its address.", GONE, UNSEEN, NSPAWN,
          away(lambda lab: power.power_off(lab, lab.host(PRIMARY))),
          back(lambda lab: power.power_on(lab, lab.host(PRIMARY))), PRIMARY),
    Fault("link-down", "Somebody pulled the primary's network cable.", GONE, UNSEEN, NSPAWN,
          away(lambda lab: distance.link(lab, lab.host(PRIMARY), False)),
          back(lambda lab: distance.link(lab, lab.host(PRIMARY), True)), PRIMARY),
    Fault("host-frozen", "The primary hangs as a whole: it takes connections and nothing in it moves.",
          GONE, UNSEEN, NSPAWN,
          away(lambda lab: limits.freeze(lab, lab.host(PRIMARY), True)),
          back(lambda lab: limits.freeze(lab, lab.host(PRIMARY), False)), PRIMARY),
    Fault("rebooted", "The primary rebooted a minute ago, and everything came back by itself.",
          NOTHING, NOTHING, NSPAWN, restart, finish, PRIMARY),
    Fault("rebooted-without-runner", "The primary rebooted, and its runner's service was never enabled.",
          health(PRIMARY, *OFFLINE), NOTHING, NSPAWN, restart_without_runner, start_runner, PRIMARY),
    Fault("far-away", "The primary is at the other end of the world: a round trip takes 300 ms.",
          NOTHING, NOTHING, NSPAWN, far(FAR, 0), far(0, 0), PRIMARY),
    Fault("packets-lost", "One packet in fifty to and from the primary is lost.",
          NOTHING, NOTHING, NSPAWN, far(0, LOSS), far(0, 0), PRIMARY),
)  # fmt: skip
