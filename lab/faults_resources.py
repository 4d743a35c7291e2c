"""Faults of what a host has to offer a job: memory, load, upkeep."""

from collections.abc import Callable
from pathlib import Path

from lab import leftovers
from lab.engine import engine_named, on
from lab.fault import NSPAWN, Fault
from lab.faults_hosts import NOTHING, PRIMARY, health
from lab.process import LabError, run, until
from lab.world import Lab

STARVED = "lab-starved"


def run_on(script: str, runner: str = PRIMARY) -> Callable[[Lab], None]:
    """A script on one host, as root."""

    def act(lab: Lab) -> None:
        on(lab, runner, script)

    return act


def given(file: str, text: str) -> Callable[[Lab], None]:
    """The primary gets a number of its own in /proc, as lxcfs gives one to a container: the kernel's is everybody's."""
    return run_on(f"printf '{text}' > /run/lab-{file}; mount --bind /run/lab-{file} /proc/{file}")


def taken(file: str) -> Callable[[Lab], None]:
    return run_on(f"umount /proc/{file}; rm -f /run/lab-{file}")


def memory_group(lab: Lab) -> Path:
    """The primary's control group for memory. LabError where the kernel has them only in version 2, whose groups are
    systemd's own inside the host."""
    for group in leftovers.cgroups_of(lab):
        if group.name == PRIMARY and (group / "memory.limit_in_bytes").exists():
            return group
    raise LabError("this machine has no control groups for memory of version 1, in which a runner could be starved")


def starve(lab: Lab) -> None:
    """The runner's processes get a memory limit, and one of them asks for more: the kernel kills it, the listener lives."""
    host = memory_group(lab)
    group = host / STARVED
    group.mkdir(exist_ok=True)
    (group / "memory.limit_in_bytes").write_text(str(192 << 20))
    for pid in (host / "cgroup.procs").read_text().split():
        if Path(f"/proc/{pid}/comm").read_text().strip() == "Runner.Listener":
            (group / "cgroup.procs").write_text(pid)
    glutton = ["setpriv", "--reuid=1001", "--regid=1001", "--clear-groups", "python3", "-c", "bytearray(400 << 20)"]
    join = 'echo 0 > "$1/cgroup.procs"; shift; exec "$@"'
    command = engine_named(lab.engine).command(lab, lab.host(PRIMARY), glutton)
    run(["/bin/sh", "-euc", join, "sh", str(group), *command], check=False)
    until(lambda: "oom_kill 0" not in (group / "memory.oom_control").read_text(), "the kernel to kill it", 15, 0.1)


def feed(lab: Lab) -> None:
    host = memory_group(lab)
    group = host / STARVED
    if group.is_dir():
        for pid in (group / "cgroup.procs").read_text().split():
            (host / "cgroup.procs").write_text(pid)
        group.rmdir()


FAULTS: tuple[Fault, ...] = (
    Fault("job-out-of-memory", "The kernel killed a process of the primary's runner an hour ago, for want of memory.",
          health(PRIMARY, "memory-room"), NOTHING, NSPAWN, starve, feed, PRIMARY),
    Fault("memory-low", "Something on the primary eats its memory.",
          health(PRIMARY, "memory-room"), NOTHING, NSPAWN,
          given("meminfo", r"MemTotal:        4096000 kB\nMemFree:           20000 kB\nMemAvailable:      30000 kB\n"),
          taken("meminfo"), PRIMARY),
    Fault("load-high", "The primary is so loaded that a worker may not start in time; that warns, and no more.",
          health(PRIMARY, "load-sane"), NOTHING, NSPAWN,
          given("loadavg", r"9001.00 9000.50 8000.00 99/9999 12345\n"), taken("loadavg"), PRIMARY),
    Fault("reboot-due", "The primary waits for a reboot since its last update.",
          health(PRIMARY, "no-pending-reboot"), NOTHING, NSPAWN,
          run_on("touch /run/reboot-required"), run_on("rm -f /run/reboot-required"), PRIMARY),
    Fault("unit-failed", "A service of the primary, not the runner's, has failed.",
          health(PRIMARY, "no-pending-reboot"), NOTHING, NSPAWN,
          run_on("systemd-run --quiet --unit=lab-broken false; until systemctl is-failed --quiet lab-broken; do sleep 0.05; done"),
          run_on("systemctl reset-failed lab-broken"), PRIMARY),
)  # fmt: skip
