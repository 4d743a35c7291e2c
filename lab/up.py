"""Bringing a lab up, and how one that is up stands."""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from lab import control, leftovers, outside, papers, rehearsal, target, world
from lab.context import context_text
from lab.engine import Choice, choose, engine_named, install
from lab.process import LabError, choosing
from lab.shape import PARTS, shapes
from lab.world import Lab, Shape

FAILED = 1
DRILLS_MAY = {"metadata": "read", "actions": "write", "actions_variables": "write"}
"""What the token of drills is granted, and no more."""


def say(text: str) -> None:
    print(text, flush=True)


def known() -> Lab:
    lab = world.load()
    if lab is None:
        raise LabError("no lab is up in this checkout; try: python -m lab up")
    return lab


def up(options: argparse.Namespace) -> int:
    forced = options.engine or os.environ.get("LAB_ENGINE") or None
    choice = choose(forced)
    if choice.engine == "nspawn" and os.geteuid() != 0:
        say(f"engine {choice.engine}: {choice.reason}")
        return as_root()
    with world.locked():
        return up_locked(options, choice)


def as_root() -> int:
    """Start over through sudo, with the caller's cache and nothing else of the environment."""
    kept = [
        f"{name}={os.environ[name]}" for name in ("HOME", "PATH", "XDG_CACHE_HOME", "LAB_ENGINE") if name in os.environ
    ]
    os.chdir(world.ROOT)
    os.execvp("sudo", ["sudo", "-n", "env", *kept, sys.executable, "-m", "lab", *sys.argv[1:]])


def healthy(lab: Lab) -> bool:
    """Whether a remembered lab stands as it was left: hosts, stand-in, and production unless a fault stopped it."""
    engine = engine_named(lab.engine)
    hosts = lab.hosts and all(engine.alive(lab, host) for host in lab.hosts)
    stopped = {
        name for fault, name in (("target-down", "production"), ("target-silent", "target")) if fault in lab.broken
    }
    services = all(outside.running(lab, name) for name in outside.services(lab) if name not in stopped)
    return bool(hosts) and lab.context_file.exists() and services


def shapes_wanted(options: argparse.Namespace) -> dict[str, Shape]:
    """The hosts that were asked for, by name."""
    names = [f"prod-runner-{number:02d}" for number in range(1, options.hosts + 1)]
    common = {part: value for part in PARTS if (value := getattr(options, part))}
    return shapes(names, common, options.host)


def up_locked(options: argparse.Namespace, choice: Choice) -> int:
    started = time.monotonic()
    lab = world.load()
    wanted = shapes_wanted(options)
    if lab and lab.engine == choice.engine and {h.name: h.shape for h in lab.hosts} == wanted and healthy(lab):
        say(f"engine {lab.engine}: the lab is up already")
        code = status(options)
        # Broken on purpose is up; sick without a fault is not.
        return 0 if lab.broken else code
    say(f"engine {choice.engine}: {choice.reason}")
    if choice.packages:
        install(choice.packages, say)
    before = leftovers.remove(lab or Lab(choice.engine))
    if before:
        say(f"removed what an earlier lab left: {before}")
    world.clear()
    lab = Lab(choice.engine)
    engine = engine_named(choice.engine)
    try:
        bring_up(lab, wanted, started)
    except BaseException:
        # The logs stay: they say why.
        leftovers.remove(lab)
        (lab.state / "lab.json").unlink(missing_ok=True)
        raise
    finally:
        world.give_back(lab)
    say(f"up in {time.monotonic() - started:.1f} s: {', '.join(f'{h.name} {h.address}:{h.port}' for h in lab.hosts)}")
    say(f"GitHub stand-in {lab.api_url}; context {lab.context_file}")
    say('for a shell: eval "$(python -m lab env)"')
    if engine.name == "loopback":
        say("these runners are plain processes: there is no systemd, and checks of a service are not applicable")
    return 0


def bring_up(lab: Lab, wanted: Mapping[str, Shape], started: float) -> None:
    """Fill the machine with `lab`; every step that takes time says how much."""
    engine = engine_named(lab.engine)
    step = Steps(started)
    # Remembered before anything is started: a kill must not leave what nobody knows.
    lab.save()
    # An image may take minutes: no other lab must wait for it.
    engine.provide(wanted, say)
    with choosing():
        engine.plan(lab, wanted)
        lab.save()
        engine.prepare(lab)
    world.make_secrets(lab)
    target.let_in(lab)
    lab.save()
    step("image, keys and network")
    outside.start_all(lab)
    target.make(lab)
    rehearsal.make(lab)
    lab.request("PUT", "/_lab/secrets", {"REHEARSAL_KEY": target.deploy_key(lab).read_text()})
    drills = {"token": lab.drill_token_file.read_text().strip(), "permissions": DRILLS_MAY}
    lab.request("POST", "/_lab/tokens", drills)
    agents = {name: int(record["id"]) for name, record in lab.runners().items()}
    step("stand-in and production")
    with ThreadPoolExecutor(len(lab.hosts)) as pool:
        list(pool.map(lambda host: engine.start(lab, host, agents[host.name]), lab.hosts))
    step("hosts answer SSH")
    for host in lab.hosts:
        lab.wait_online(host.name)
    step("runners online")
    papers.lay(lab)
    world.write(lab.context_file, context_text(lab))


class Steps:
    """Prints how long each step took."""

    def __init__(self, started: float) -> None:
        self._last = started

    def __call__(self, what: str) -> None:
        now = time.monotonic()
        say(f"  {now - self._last:5.1f} s  {what}")
        self._last = now


def status(_options: argparse.Namespace) -> int:
    lab = known()
    engine = engine_named(lab.engine)
    say(f"engine {lab.engine}, lab {lab.id}, GitHub stand-in {lab.api_url}")
    good = True
    for host in lab.hosts:
        alive = engine.alive(lab, host)
        code = lab.ssh(host.name, "true")[0] if alive else 255
        try:
            github = lab.runners().get(host.name, {}).get("status", "not registered")
        except LabError:
            github = "unknown (no answer)"
        good = good and alive and code == 0 and github == "online"
        say(
            f"  {host.name}  {host.address}:{host.port}  {'up' if alive else 'DOWN'}, "
            f"ssh {'answers' if code == 0 else 'FAILS'}, at the stand-in {github}"
        )
    for name in outside.services(lab):
        running = outside.running(lab, name)
        good = good and running
        say(f"  {name}  {'up' if running else 'DOWN'}")
    if control.running(lab):
        say(f"  {control.NAME}  up")
    say(f"broken by: {', '.join(lab.broken) if lab.broken else 'nothing'}")
    return 0 if good and not lab.broken else FAILED
