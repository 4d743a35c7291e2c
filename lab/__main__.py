"""`python -m lab`: a world of our own to break and to mend."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lab import leftovers, outside, world
from lab.context import context_text
from lab.engine import ENGINES, Choice, ImpossibleError, choose, engine_named, install
from lab.process import LabError
from lab.world import Lab

FAILED, WRONG_CALL = 1, 4
HOSTS_MOST = 9
ROOTS = ("status", "break", "heal", "shell", "reset", "down")
"""Verbs that need root once the lab has hosts of its own; `up` decides for itself."""


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
    stopped = {"production"} if "target-down" in lab.broken else set()
    services = all(outside.running(lab, name) for name in outside.services(lab) if name not in stopped)
    return bool(hosts) and lab.context_file.exists() and services


def up_locked(options: argparse.Namespace, choice: Choice) -> int:
    started = time.monotonic()
    lab = world.load()
    names = [f"prod-runner-{number:02d}" for number in range(1, options.hosts + 1)]
    if lab and lab.engine == choice.engine and [h.name for h in lab.hosts] == names and healthy(lab):
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
        bring_up(lab, names, started)
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


def bring_up(lab: Lab, names: list[str], started: float) -> None:
    """Fill the machine with `lab`; every step that takes time says how much."""
    from lab.network import choosing

    engine = engine_named(lab.engine)
    step = Steps(started)
    # Remembered before anything is started: a kill must not leave what nobody knows.
    lab.save()
    with choosing():
        engine.plan(lab, names)
        lab.save()
        world.make_secrets(lab)
        engine.prepare(lab, say)
        lab.save()
    step("image, keys and network")
    outside.start_all(lab)
    agents = {name: int(record["id"]) for name, record in lab.runners().items()}
    step("stand-in and production")
    with ThreadPoolExecutor(len(lab.hosts)) as pool:
        list(pool.map(lambda host: engine.start(lab, host, agents[host.name]), lab.hosts))
    step("hosts answer SSH")
    for host in lab.hosts:
        lab.wait_online(host.name)
    step("runners online")
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
    say(f"broken by: {', '.join(lab.broken) if lab.broken else 'nothing'}")
    return 0 if good and not lab.broken else FAILED


def env(_options: argparse.Namespace) -> int:
    print(world.environment(known()), end="")
    return 0


def context(_options: argparse.Namespace) -> int:
    print(known().context_file.read_text(), end="")
    return 0


def faults(_options: argparse.Namespace) -> int:
    from lab.faults import FAULTS

    lab = world.load()
    for fault in FAULTS.values():
        if lab and lab.engine not in fault.engines:
            continue
        breaks, unknown = fault.expected(lab.engine if lab else "nspawn")
        say(f"{fault.name} ({', '.join(sorted(fault.engines))})\n    {fault.story}")
        for what, ids in (("breaks", breaks), ("unknown", unknown)):
            if ids:
                say(f"    {what}: {', '.join(sorted(ids))}")
    return 0


def break_(options: argparse.Namespace) -> int:
    from lab.faults import break_lab

    with world.locked(seconds=120):
        took = timed(lambda: break_lab(known(), options.fault))
    say(f"{options.fault} is in place ({took:.1f} s); mend it with: python -m lab heal {options.fault}")
    return 0


def heal(options: argparse.Namespace) -> int:
    from lab.faults import heal_lab

    with world.locked(seconds=120):
        started = time.monotonic()
        healed = heal_lab(known(), options.fault)
    say(f"healed {', '.join(healed) if healed else 'nothing: nothing was broken'} ({time.monotonic() - started:.1f} s)")
    return 0


def timed(act: Callable[[], None]) -> float:
    started = time.monotonic()
    act()
    return time.monotonic() - started


def shell(options: argparse.Namespace) -> int:
    lab = known()
    argv = engine_named(lab.engine).command(lab, lab.host(options.host), options.command or ["/bin/bash", "-l"])
    sys.stdout.flush()
    os.execvp(argv[0], argv)


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


def down(_options: argparse.Namespace) -> int:
    started = time.monotonic()
    with world.locked(seconds=120):
        lab = world.load() or Lab("nspawn" if os.geteuid() == 0 else "loopback")
        removed = leftovers.remove(lab)
        world.forget()
    say(f"down in {time.monotonic() - started:.1f} s: removed {removed}")
    return 0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, act: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text)
        sub.set_defaults(act=act)
        return sub

    bring = verb("up", up, "bring the lab up (again: say that it is)")
    bring.add_argument("--engine", choices=ENGINES, help="default: the best this machine can run (or LAB_ENGINE)")
    bring.add_argument("--hosts", type=int, default=2, choices=range(1, HOSTS_MOST + 1), metavar="N", help="default: 2")
    verb("status", status, "say what is up and what is broken (exit 1 unless all is well)")
    verb("env", env, 'shell assignments: eval "$(python -m lab env)"')
    verb("context", context, "print the context file")
    verb("faults", faults, "list the faults and what each breaks")
    verb("break", break_, "put a fault in place").add_argument("fault", metavar="FAULT")
    verb("heal", heal, "take a fault away, or all").add_argument("fault", metavar="FAULT", nargs="?")
    inside = verb("shell", shell, "a shell or a command on a host, as root and not over SSH")
    inside.add_argument("host", metavar="HOST")
    inside.add_argument("command", metavar="CMD", nargs=argparse.REMAINDER)
    verb("reset", reset, "make one host as new").add_argument("host", metavar="HOST")
    verb("down", down, "remove everything")
    return parser


def main() -> int:
    try:
        options = arguments().parse_args()
    except SystemExit as end:
        return WRONG_CALL if end.code else 0
    # Files for other users of the hosts must be readable whatever the caller's own mask is.
    os.umask(0o022)
    lab = world.load()
    if options.verb in ROOTS and lab and lab.engine == "nspawn" and os.geteuid() != 0:
        return as_root()
    try:
        return int(options.act(options))
    except ImpossibleError as error:
        print(f"lab: {error}", file=sys.stderr)
        return WRONG_CALL
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # Whoever read the output has gone; Python's own last flush must not complain as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        print("lab: interrupted; `python -m lab down` removes what was started", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
