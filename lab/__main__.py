"""`python -m lab`: a world of our own to break and to mend."""

import argparse
import os
import sys
import time
from collections.abc import Callable

from lab import leftovers, verbs_host, world
from lab.engine import ENGINES, ImpossibleError
from lab.image import VARIANTS
from lab.process import LabError
from lab.up import FAILED, as_root, known, say, status, up
from lab.world import Lab

WRONG_CALL = 4
HOSTS_MOST = 10
ROOTS = ("control", "status", "break", "heal", "shell", "reset", "delay", "reboot", "down")
"""Verbs that need root once the lab has hosts of its own; `up` decides for itself."""


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
        image = f", hosts with {fault.image}" if fault.image else ""
        say(f"{fault.name} ({', '.join(sorted(fault.engines))}{image})\n    {fault.story}")
        for what, ids in (("breaks", breaks), ("unknown", unknown)):
            if ids:
                say(f"    {what}: {', '.join(sorted(ids))}")
    return 0


def break_(options: argparse.Namespace) -> int:
    from lab.faults import break_lab

    with world.locked(seconds=120):
        started = time.monotonic()
        break_lab(known(), options.fault)
    say(
        f"{options.fault} is in place ({time.monotonic() - started:.1f} s); mend it with: python -m lab heal {options.fault}"
    )
    return 0


def heal(options: argparse.Namespace) -> int:
    from lab.faults import heal_lab

    with world.locked(seconds=120):
        started = time.monotonic()
        healed = heal_lab(known(), options.fault)
    say(f"healed {', '.join(healed) if healed else 'nothing: nothing was broken'} ({time.monotonic() - started:.1f} s)")
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
    bring.add_argument("--disk", metavar="SIZE", default="", help="of each host's own disk; default: 512m")
    bring.add_argument("--work", metavar="SIZE", default="", help="of each runner's work directory; default: 128m")
    bring.add_argument("--memory", metavar="SIZE", default="", help="that each host may use; default: no limit")
    bring.add_argument("--with", dest="image", choices=VARIANTS, default="", help="an image with a container runtime")
    bring.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME:PART=VALUE,…",
        help="one host otherwise: disk, work, memory, image",
    )
    verb(
        "control",
        verbs_host.control,
        "start a control runner, and put this project's workflows into the repository: a dispatch then runs them",
    )
    verb("status", status, "say what is up and what is broken (exit 1 unless all is well)")
    verb("env", env, 'shell assignments: eval "$(python -m lab env)"')
    verb("context", context, "print the context file")
    verb("faults", faults, "list the faults and what each breaks")
    verb("break", break_, "put a fault in place").add_argument("fault", metavar="FAULT")
    verb("heal", heal, "take a fault away, or all").add_argument("fault", metavar="FAULT", nargs="?")
    inside = verb("shell", verbs_host.shell, "a shell or a command on a host, as root and not over SSH")
    inside.add_argument("host", metavar="HOST")
    inside.add_argument("command", metavar="CMD", nargs=argparse.REMAINDER)
    verb("reset", verbs_host.reset, "make one host as new").add_argument("host", metavar="HOST")
    verb("reboot", verbs_host.reboot, "restart one host, its disk as it is").add_argument("host", metavar="HOST")
    far = verb("delay", verbs_host.delay, "add a fixed time to every round trip to a host; 0 takes it away")
    far.add_argument("host", metavar="HOST")
    far.add_argument("milliseconds", type=float, metavar="MS")
    far.add_argument("--loss", type=float, default=0.0, metavar="PERCENT", help="lose this share of the frames as well")
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
