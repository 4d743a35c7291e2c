"""Control groups of the lab's hosts (engine `nspawn`): made, limited, frozen."""

from pathlib import Path

from lab import leftovers
from lab.process import LabError, until
from lab.world import Host, Lab


def own_groups() -> list[Path]:
    """This process's control group in every mounted hierarchy."""
    # One read: a line-wise reader could be moved while it reads.
    mine = Path("/proc/self/cgroup").read_text().splitlines()
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    found = []
    for line in mine:
        _number, controllers, path = line.split(":", 2)
        for _device, point, kind, options, *_rest in mounts:
            wanted = set(controllers.split(",")) if controllers else set()
            unified = kind == "cgroup2" and not controllers
            if unified or (kind == "cgroup" and wanted and wanted <= set(options.split(","))):
                found.append(Path(point) / path.lstrip("/"))
                break
    return found


def make_groups(lab: Lab, host: Host) -> list[Path]:
    """`rp-ID/HOST` in every hierarchy: hosts that share one collide in nspawn's `payload` below it."""
    made = []
    for parent in own_groups():
        if not parent.is_dir():
            continue
        for group in (parent / lab.prefix, parent / lab.prefix / host.name):
            group.mkdir(exist_ok=True)
            for limit in ("cpuset.cpus", "cpuset.mems"):
                # An empty set of processors accepts no process (version 1).
                if (group / limit).exists() and not (group / limit).read_text().strip():
                    value = (group.parent / limit).read_text().strip()
                    if value:
                        (group / limit).write_text(value)
        made.append(parent / lab.prefix / host.name)
    return made


def groups_of(lab: Lab, host: Host) -> list[Path]:
    """The host's group in every hierarchy, wherever the session was that made it."""
    return [group for group in leftovers.cgroups_of(lab) if group.name == host.name and group.parent.name == lab.prefix]


def limit_memory(lab: Lab, host: Host, size: int) -> None:
    """Let the host's processes have `size` bytes between them, from now on; 0 takes the limit away.

    The kernel then kills inside the host, and the rest of the machine never notices.
    """
    for group in groups_of(lab, host):
        for name, none in (("memory.limit_in_bytes", "-1"), ("memory.max", "max")):
            if (group / name).exists():
                (group / name).write_text(str(size) if size else none)
                return
    raise LabError(
        f"no memory limit for {host.name}: this session's control groups have no memory controller; "
        "try: systemd-run --scope --property=Delegate=yes python -m lab up"
    )


def freeze(lab: Lab, host: Host, frozen: bool) -> None:
    """Stop every process of the host where it stands, or let them all go on."""
    words = {"freezer.state": ("THAWED", "FROZEN"), "cgroup.freeze": ("0", "1")}
    for name, word in words.items():
        for group in groups_of(lab, host):
            if (group / name).exists():
                set_freezer(group / name, word[frozen])
                return
    raise LabError(f"{host.name} cannot be frozen: no control group of this machine can")


def set_freezer(file: Path, word: str) -> None:
    file.write_text(word)
    # It goes through FREEZING, process by process.
    until(lambda: file.read_text().strip() == word, f"{file} to be {word}", 10, 0.01)


WRITABLE = """
for place in /sys/fs/cgroup /sys/fs/cgroup/*; do
    if mountpoint -q "$place"; then mount -o remount,bind,rw "$place"; fi
done
systemctl daemon-reexec
"""
"""Run in a host, it lets the host's own systemd and container runtime limit what they start."""
