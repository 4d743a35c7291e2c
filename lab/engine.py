"""What an engine does, which engines this machine can run, and the choice between them."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lab import containers, leftovers
from lab.process import LabError, run
from lab.world import Host, Lab, Shape

ENGINES = ("nspawn", *containers.ENGINES, "loopback")
"""The best first."""
APT = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "nft": "nftables",
    "zstd": "zstd",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "podman": "podman",
    "docker": "docker.io",
}
"""Commands the engines need, and the Debian package that has each."""

COMMANDS = {
    "nspawn": ("systemd-nspawn", "mmdebstrap", "ssh", "ssh-keygen", "nft", "zstd", "ip", "unshare", "nsenter"),
    "podman": ("podman", "ssh", "ssh-keygen"),
    "docker": ("docker", "ssh", "ssh-keygen"),
    "loopback": ("sshd", "ssh", "ssh-keygen"),
}


class Engine(Protocol):
    """A way to have hosts. `say` takes one line for the person who waits."""

    name: str

    def plan(self, lab: Lab, shapes: Mapping[str, Shape]) -> None:
        """Fill in the hosts that `shapes` names, addresses and ports. Nothing is started."""

    def provide(self, shapes: Mapping[str, Shape], say: Callable[[str], None]) -> None:
        """Have the images that hosts of these shapes need, built if they are not there."""

    def prepare(self, lab: Lab) -> None:
        """Everything up to the addresses the stand-in and production listen on; other labs wait meanwhile."""

    def start(self, lab: Lab, host: Host, agent_id: int) -> None:
        """Bring one host up, its disk new, until it answers SSH."""

    def reset(self, lab: Lab, host: Host, agent_id: int) -> None:
        """Throw one host away and bring it up again as new."""

    def alive(self, lab: Lab, host: Host) -> bool: ...

    def command(self, lab: Lab, host: Host, argv: Sequence[str]) -> list[str]:
        """`argv` wrapped so that it runs on the host, not over SSH: the injector's and the healer's way in."""

    def sshd(self, lab: Lab, host: Host, verb: str) -> None:
        """`stop`, `start`, `freeze` (takes connections, says nothing) or `thaw` the host's sshd."""

    def present_key(self, lab: Lab, host: Host, key: Path) -> None:
        """Make sshd show the host key whose private half is the file `key`."""

    def silence(self, lab: Lab, host: Host, silent: bool) -> None:
        """Let the gate's SSH get no answer from the host, while the host's own traffic goes on."""

    def listener(self, lab: Lab, host: Host, alive: bool) -> None:
        """Start, or kill, a listener that no service keeps (engine `loopback`)."""


def engine_named(name: str) -> Engine:
    if name == "nspawn":
        from lab.nspawn import Nspawn

        return Nspawn()
    if name in containers.ENGINES:
        from lab.container import Container

        return Container(name)
    if name == "loopback":
        from lab.loopback import Loopback

        return Loopback()
    raise LabError(f"no engine {name!r}; there are {', '.join(ENGINES)}")


def on(lab: Lab, name: str, script: str, *, check: bool = True, seconds: float = 60.0) -> str:
    """Run a shell script on a host as its administrator; what it printed."""
    argv = engine_named(lab.engine).command(lab, lab.host(name), ["/bin/sh", "-eu"])
    return run(argv, script, check=check, seconds=seconds).stdout


@dataclass(frozen=True)
class Probe:
    """Whether an engine can run here. `missing` are commands that packages could bring."""

    possible: bool
    reason: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    engine: str
    reason: str
    packages: tuple[str, ...] = ()
    """Debian packages to install first."""


def which(command: str) -> str | None:
    """Like shutil.which, also where an ordinary user's PATH does not look."""
    return shutil.which(command) or shutil.which(command, path="/usr/sbin:/sbin:/usr/local/sbin")


def missing(engine: str) -> tuple[str, ...]:
    return tuple(command for command in COMMANDS[engine] if which(command) is None)


MOUNT_TRIAL = r"""
set -eu
mount -t tmpfs trial "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay trial -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
: > "$1/root/written"
ip link add trial0 type veth peer name trial1
ip link add trial2 type bridge
"""


def probe_nspawn() -> Probe:
    """Try in namespaces of their own what the engine will do: nothing of it outlives the trial."""
    if sys.platform != "linux":
        return Probe(False, f"systemd-nspawn is Linux only, this is {platform.system()}")
    if os.geteuid() != 0:
        if sudo():
            return Probe(True, "root through passwordless sudo", missing("nspawn"))
        return Probe(False, "it needs root, or sudo without a password")
    if absent := missing("nspawn"):
        return Probe(True, "root", absent)
    if not os.access("/sys/fs/cgroup", os.W_OK):
        return Probe(False, "control groups are read-only here, as in a plain container")
    # The image will be the lower layer: what counts is the cache's own file system.
    from lab.image import cache

    cache().mkdir(parents=True, exist_ok=True)
    place = Path("/run") / f"{leftovers.TRIALS}{os.getpid()}"
    leftovers.remove_trials()
    place.mkdir(exist_ok=True)
    try:
        trial = [
            "unshare",
            "--mount",
            "--net",
            "--propagation",
            "private",
            "sh",
            "-c",
            MOUNT_TRIAL,
            "sh",
            str(place),
            str(cache()),
        ]
        done = run(trial, check=False)
    finally:
        place.rmdir()
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return Probe(
            False, f"overlay mounts or network namespaces are refused: {said[-1] if said else 'no reason given'}"
        )
    return Probe(True, "root, overlay mounts and network namespaces work")


def probe_container(cli: str) -> Probe:
    """An engine for containers is taken where it is there and answers; none is installed for it."""
    if sys.platform != "linux":
        return Probe(False, f"the hosts' addresses are out of the gate's reach on {platform.system()}")
    if absent := missing(cli):
        return Probe(False, f"there is no {' and no '.join(absent)}")
    if cli == "podman" and os.geteuid() != 0:
        return Probe(False, "without root its containers have no addresses that the gate can reach")
    done = run([cli, "info"], check=False, seconds=20)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        return Probe(False, f"{cli} info says: {said[-1] if said else 'nothing'}")
    return Probe(True, f"{cli} answers")


def probe_loopback() -> Probe:
    if sys.platform != "linux":
        return Probe(False, f"the lab's processes are found through /proc, which {platform.system()} does not have")
    return Probe(True, "an sshd can run as this user", missing("loopback"))


PROBES: dict[str, Callable[[], Probe]] = {
    "nspawn": probe_nspawn,
    "podman": lambda: probe_container("podman"),
    "docker": lambda: probe_container("docker"),
    "loopback": probe_loopback,
}


def sudo() -> bool:
    """Whether sudo works without a password."""
    return shutil.which("sudo") is not None and run(["sudo", "-n", "true"], check=False).returncode == 0


def can_install() -> bool:
    return shutil.which("apt-get") is not None and (os.geteuid() == 0 or sudo())


def packages_for(commands: Sequence[str]) -> tuple[str, ...]:
    """Debian packages for missing commands; mmdebstrap on Ubuntu also wants Debian's keys."""
    names = {APT[command] for command in commands}
    if "mmdebstrap" in names:
        names.add("debian-archive-keyring")
    return tuple(sorted(names))


def choose(forced: str | None) -> Choice:
    """The forced engine, else the best possible one. LabError when there is none, with what to type."""
    refused: list[str] = []
    for name in [forced] if forced else list(ENGINES):
        if name not in PROBES:
            raise LabError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
        probe = PROBES[name]()
        packages = packages_for(probe.missing)
        if not probe.possible:
            refused.append(f"{name}: {probe.reason}")
        elif packages and not can_install():
            refused.append(
                f"{name}: missing {', '.join(probe.missing)}; try: apt-get install --yes {' '.join(packages)}"
            )
        else:
            why = "asked for" if forced else "; ".join([probe.reason, *(f"not {r}" for r in refused)])
            return Choice(name, why, packages)
    raise ImpossibleError("no engine can run here\n  " + "\n  ".join(refused))


class ImpossibleError(LabError):
    """This machine cannot run the lab as asked (exit 4)."""


def install(packages: Sequence[str], say: Callable[[str], None]) -> None:
    """Install Debian packages, saying so first."""
    say(f"installing with apt-get: {' '.join(packages)}")
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]
    if run([*apt, "install", "--yes", "--no-install-recommends", *packages], check=False, seconds=600).returncode:
        run([*apt, "update"], seconds=300)
        run([*apt, "install", "--yes", "--no-install-recommends", *packages], seconds=600)
