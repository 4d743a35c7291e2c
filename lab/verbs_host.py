"""Verbs that act on one host, or on the control runner."""

import argparse
import os
import sys
import time

from lab import control as control_runner
from lab import distance, power, world
from lab.engine import engine_named
from lab.up import known, say


def shell(options: argparse.Namespace) -> int:
    lab = known()
    argv = engine_named(lab.engine).command(lab, lab.host(options.host), options.command or ["/bin/bash", "-l"])
    sys.stdout.flush()
    os.execvp(argv[0], argv)


def control(_options: argparse.Namespace) -> int:
    """The control runner, and this project's own workflows in the repository."""
    with world.locked(seconds=120):
        lab = known()
        started = time.monotonic()
        control_runner.start(lab)
        sha = control_runner.adopt(lab)
        world.give_back(lab)
    say(f"{control_runner.NAME} is online ({time.monotonic() - started:.1f} s): {', '.join(control_runner.LABELS)}")
    say(f"the workflows of this checkout are at the head of main ({sha[:7]}); dispatch one: {lab.api_url}")
    return 0


def reset(options: argparse.Namespace) -> int:
    with world.locked(seconds=120):
        lab = known()
        host = lab.host(options.host)
        started = time.monotonic()
        agent = int(lab.runners()[host.name]["id"])
        engine_named(lab.engine).reset(lab, host, agent)
        lab.wait_online(host.name)
        from lab.faults import FAULTS

        lab.broken = [name for name in lab.broken if name not in FAULTS or FAULTS[name].host != host.name]
        lab.save()
        world.give_back(lab)
    say(f"{host.name} is as new ({time.monotonic() - started:.1f} s)")
    return 0


def delay(options: argparse.Namespace) -> int:
    with world.locked(seconds=120):
        lab = known()
        distance.stretch(lab, lab.host(options.host), options.milliseconds, options.loss)
    lost = f", and {options.loss:g} % of the frames are lost" if options.loss else ""
    say(f"{options.host}: a round trip takes {options.milliseconds:g} ms more{lost}")
    return 0


def reboot(options: argparse.Namespace) -> int:
    with world.locked(seconds=120):
        lab = known()
        started = time.monotonic()
        power.reboot(lab, lab.host(options.host))
    say(f"{options.host} has rebooted ({time.monotonic() - started:.1f} s)")
    return 0
