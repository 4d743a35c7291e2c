"""Engine `loopback`: where no host can be had, real sshd instances as the current user.

A truthful world without systemd: runners are plain processes, as people run `run.sh` without a
service. All "hosts" share this machine's disk, clock, users and kernel. Nothing imitates systemctl.
"""

import os
import pwd
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab import leftovers, outside, tree
from lab.engine import which
from lab.process import LabError, until
from lab.world import MARK, PORTS, RUNNER_VERSION, Host, Lab, Shape, host_key, write

FIRST_PORT, LABS, PORTS_OF_A_LAB = 18000, 1000, 10
"""Below those that a machine gives to whoever asks for any."""
PRIVILEGE_SEPARATION = Path("/run/sshd")


class Loopback:
    """sshd at 127.0.0.11 and up, high ports."""

    name = "loopback"

    def plan(self, lab: Lab, shapes: Mapping[str, Shape]) -> None:
        if any(shape != Shape() for shape in shapes.values()):
            raise LabError(
                "engine loopback: all hosts are this machine; they have no disk, memory or image of their own"
            )
        me = pwd.getpwuid(os.getuid()).pw_name
        # Two checkouts whose labs come up in the same moment both find a port free, and one of them is too late for it.
        first = FIRST_PORT + int(lab.id, 16) % LABS * PORTS_OF_A_LAB
        hosts = []
        for number, name in enumerate(shapes, start=1):
            address = f"127.0.0.{10 + number}"
            port = outside.free_ports(address, first + PORTS, 1)[0]
            directory = str(home(lab, name) / "actions-runner")
            hosts.append(Host(name, number, address, port, directory, me, me))
        lab.hosts = tuple(hosts)
        lab.address = "127.0.0.1"
        lab.take_ports(outside.free_ports(lab.address, first, PORTS))

    def provide(self, shapes: Mapping[str, Shape], say: Callable[[str], None]) -> None:
        """There is no image: the hosts are this machine."""

    def prepare(self, lab: Lab) -> None:
        if os.geteuid() == 0 and not PRIVILEGE_SEPARATION.is_dir():
            # Run by root, sshd wants this directory; the system's own service makes and removes it the same way.
            PRIVILEGE_SEPARATION.mkdir(mode=0o755)
            write(lab.state / "made_directories", f"{PRIVILEGE_SEPARATION}\n")

    def start(self, lab: Lab, host: Host, agent_id: int) -> None:
        self.make_files(lab, host, agent_id)
        self.sshd(lab, host, "start")
        self.listener(lab, host, True)

        def logged_in() -> bool:
            if not self.alive(lab, host):
                log = (home(lab, host.name) / "sshd.log").read_text(errors="replace")
                raise LabError(f"the sshd of {host.name} ended:\n{log[-2000:]}")
            return lab.ssh(host.name, "true")[0] == 0

        until(logged_in, f"{host.name} to answer SSH", 20, 0.1)

    def reset(self, lab: Lab, host: Host, agent_id: int) -> None:
        self.listener(lab, host, False)
        lab.fell_silent(host.name)
        self.sshd(lab, host, "stop")
        shutil.rmtree(home(lab, host.name))
        self.start(lab, host, agent_id)

    def make_files(self, lab: Lab, host: Host, agent_id: int) -> None:
        place = home(lab, host.name)
        place.mkdir(parents=True)
        write(place / "host_key", host_key(lab, host).read_text(), 0o600)
        write(place / "authorized_keys", (lab.state / "ssh" / "id_ed25519.pub").read_text(), 0o600)
        write(place / "sshd_config", sshd_config(lab, place, host))
        make_agent(lab, host, agent_id)

    def alive(self, lab: Lab, host: Host) -> bool:
        return sshd_process(lab, host) is not None

    def command(self, lab: Lab, host: Host, argv: Sequence[str]) -> list[str]:
        return ["env", f"--chdir={home(lab, host.name)}", *argv]

    def sshd(self, lab: Lab, host: Host, verb: str) -> None:
        process = sshd_process(lab, host)
        if verb == "start":
            if process is None:
                place = home(lab, host.name)
                argv = [str(which("sshd")), "-D", "-f", str(place / "sshd_config"), "-E", str(place / "sshd.log")]
                outside.start(lab, f"sshd-{host.name}", argv)
                until(lambda: sshd_process(lab, host) is not None, f"the sshd of {host.name} to start", 10, 0.02)
        elif process is None:
            raise LabError(f"the sshd of {host.name} does not run")
        elif verb == "stop":
            leftovers.end(leftovers.family([process]))
            until(lambda: sshd_process(lab, host) is None, f"the sshd of {host.name} to end", 10, 0.02)
        else:
            os.kill(process, signal.SIGSTOP if verb == "freeze" else signal.SIGCONT)

    def present_key(self, lab: Lab, host: Host, key: Path) -> None:
        write(home(lab, host.name) / "host_key", key.read_text(), 0o600)
        self.sshd(lab, host, "stop")
        self.sshd(lab, host, "start")

    def silence(self, lab: Lab, host: Host, silent: bool) -> None:
        self.sshd(lab, host, "freeze" if silent else "thaw")

    def listener(self, lab: Lab, host: Host, alive: bool) -> None:
        name = f"listener-{host.name}"
        if not alive:
            outside.stop(lab, name, signal.SIGKILL)
        elif not outside.running(lab, name):
            directory = Path(host.directory)
            outside.start(lab, name, [str(directory / "bin" / "Runner.Listener"), "run"], cwd=directory)


def make_agent(lab: Lab, host: Host, agent_id: int) -> None:
    """The directory of a runner that is a plain process of this machine, registered as `agent_id`."""
    directory = Path(host.directory)
    binaries = directory / f"bin.{RUNNER_VERSION}"
    for folder in (binaries, directory / "_diag", directory / "_work", directory / f"externals.{RUNNER_VERSION}"):
        folder.mkdir(parents=True)
    (directory / "bin").symlink_to(binaries)
    (directory / "externals").symlink_to(directory / f"externals.{RUNNER_VERSION}")
    # Links, not copies: this interpreter may find its library only beside its real place.
    for program in ("Runner.Listener", "Runner.Worker"):
        (binaries / program).symlink_to(os.path.realpath(sys.executable))
    write(binaries / "Runner.Listener.deps.json", tree.dependencies())
    (binaries / "lab" / "agent").mkdir(parents=True)
    write(binaries / "lab" / "__init__.py", "")
    for module in tree.AGENT.glob("*.py"):
        write(binaries / "lab" / "agent" / module.name, module.read_text())
    for place in (directory / "run", binaries / "spawnclient"):
        write(place, (tree.AGENT / "entry.py").read_text())
    for name in tree.SCRIPTS:
        write(directory / name, (tree.AGENT / name).read_text(), 0o755)
    for name, (text, mode) in tree.runner_files(lab, host, agent_id).items():
        write(directory / name, text, mode)


def home(lab: Lab, name: str) -> Path:
    return lab.state / "hosts" / name


def sshd_process(lab: Lab, host: Host) -> int | None:
    """The id of the host's listening sshd, by its title: the environment is gone under that."""
    try:
        pid = int((home(lab, host.name) / "sshd.pid").read_text())
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if str(home(lab, host.name) / "sshd_config").encode() in title and not leftovers.zombie(pid) else None


def sshd_config(lab: Lab, place: Path, host: Host) -> str:
    # Every path absolute: sshd starts itself anew for each connection, from another directory.
    return (
        f"ListenAddress {host.address}\n"
        f"Port {host.port}\n"
        f'HostKey "{place}/host_key"\n'
        f'PidFile "{place}/sshd.pid"\n'
        f'AuthorizedKeysFile "{place}/authorized_keys"\n'
        f"AllowUsers {host.login}\n"
        "PasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\n"
        # PAM needs root; the checkout may lie in a directory that others may write.
        "UsePAM no\n"
        "StrictModes no\n"
        "UseDNS no\n"
        "PrintMotd no\n"
        # With the mark, what a session leaves behind is found. SHLVL keeps bash from reading ~/.bashrc:
        # a person's start files are slow, and some hold locks that a killed session would leave.
        f"SetEnv {MARK}={lab.id} SHLVL=1\n"
    )
