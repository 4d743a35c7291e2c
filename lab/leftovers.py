"""Finding and removing everything a lab has put on the machine. `down` and the cleanup after a kill are this one path.

Nothing here trusts a record alone: processes are found by cgroup name, by the mark in their
environment and by the state directory in their title; mounts by the run directory; links by prefix.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import containers, kernel
from lab.process import LabError, choosing, run
from lab.world import MARK, Lab

NSPAWN_RUN = Path("/run/systemd/nspawn")


@dataclass(frozen=True)
class Leftovers:
    """What one lab has on the machine. Mounts are deepest first, as are cgroups."""

    processes: tuple[int, ...] = ()
    mounts: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    cgroups: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()
    containers: tuple[str, ...] = ()
    """Containers and networks of an engine for containers."""

    def __bool__(self) -> bool:
        return bool(self.processes or self.mounts or self.links or self.cgroups or self.files or self.containers)

    def __str__(self) -> str:
        counts = {
            "processes": len(self.processes),
            "mounts": len(self.mounts),
            "links": len(self.links),
            "cgroups": len(self.cgroups),
            "files": len(self.files),
            "containers and networks": len(self.containers),
        }
        return ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing"


def mounts_below(mountinfo: str, directory: str) -> tuple[str, ...]:
    """Mount points at and below `directory` in the text of /proc/self/mountinfo, the last mounted first."""
    found = []
    for line in mountinfo.splitlines():
        # Blanks in paths are octal in mountinfo.
        point = line.split()[4].encode().decode("unicode_escape")
        if point == directory or point.startswith(directory + "/"):
            found.append(point)
    return tuple(reversed(found))


def links_of(text: str, prefix: str) -> tuple[str, ...]:
    """Names that start with `prefix` in the output of `ip -o link`, where a veth reads `name@peer`."""
    names = (line.split()[1].rstrip(":").partition("@")[0] for line in text.splitlines() if line.strip())
    return tuple(name for name in names if name.startswith(prefix))


def parent_of(stat: str) -> int:
    """Parent's id in the text of /proc/PID/stat; the name before it may hold blanks and brackets."""
    return int(stat.rpartition(")")[2].split()[1])


def cgroups_of(lab: Lab) -> tuple[Path, ...]:
    """This lab's groups in every hierarchy, wherever the session was that made them."""
    found: list[Path] = []
    for top, folders, _files in os.walk("/sys/fs/cgroup"):
        if lab.prefix in folders:
            found += [Path(inner) for inner, _d, _f in os.walk(os.path.join(top, lab.prefix))]
            folders.remove(lab.prefix)
    return tuple(sorted(found, key=lambda p: len(p.parts), reverse=True))


def in_cgroups(cgroups: Iterable[Path]) -> set[int]:
    found: set[int] = set()
    for group in cgroups:
        try:
            found.update(int(pid) for pid in (group / "cgroup.procs").read_text().split())
        except OSError:
            continue
    return found


def parents() -> dict[int, int]:
    """Every process of the machine, and its parent."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = parent_of((entry / "stat").read_text(errors="replace"))
            except OSError:
                continue
    return found


def family(pids: Iterable[int]) -> tuple[int, ...]:
    """These processes and all that descend from them, less this one and its own ancestors."""
    tree = parents()
    found = set(pids)
    while children := {pid for pid, parent in tree.items() if parent in found} - found:
        found |= children
    # A lab command may have been started from a shell of the lab: it must not end itself.
    pid = os.getpid()
    while pid in tree:
        found.discard(pid)
        pid = tree[pid]
    return tuple(sorted(found))


def processes_of(lab: Lab, cgroups: Iterable[Path]) -> tuple[int, ...]:
    found = in_cgroups(cgroups)
    mark = f"{MARK}={lab.id}".encode()
    title = f"{lab.state / 'hosts'}/".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            # sshd writes its title over its environment.
            sshd = command.startswith(b"sshd: ") and title in command
            if sshd or mark in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except OSError:
            continue
    return family(found)


def nspawn_files(lab: Lab) -> tuple[Path, ...]:
    """Lock and propagation directories that a killed nspawn leaves in /run/systemd/nspawn."""
    found = []
    for note in (lab.run_dir / "locks").glob("*"):
        found += [Path(line) for line in json.loads(note.read_text()) if Path(line).exists()]
    for machine in (NSPAWN_RUN / "propagate").glob(f"{lab.prefix}-*"):
        found.append(machine)
    return tuple(found)


def made_directories(lab: Lab) -> tuple[Path, ...]:
    """Directories outside the lab's own that it noted to have made."""
    try:
        return tuple(Path(line) for line in (lab.state / "made_directories").read_text().splitlines())
    except FileNotFoundError:
        return ()


def find(lab: Lab) -> Leftovers:
    cgroups = cgroups_of(lab)
    links = run(["ip", "-o", "link"], check=False).stdout if os.geteuid() == 0 else ""
    return Leftovers(
        processes=processes_of(lab, cgroups),
        mounts=mounts_below(Path("/proc/self/mountinfo").read_text(), str(lab.run_dir)),
        links=links_of(links, lab.prefix),
        cgroups=cgroups,
        files=nspawn_files(lab),
        containers=containers.find(lab),
    )


def end(processes: Iterable[int]) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            # A stopped one ends as well.
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def kill_all(lab: Lab, within: str = "", seconds: float = 10.0) -> None:
    """End every process of the lab; with `within`, only those in that cgroup (`HOST`) of it."""
    deadline = time.monotonic() + seconds
    while True:
        cgroups = cgroups_of(lab)
        if within:
            cgroups = tuple(group for group in cgroups if within in group.parts)
        processes = family(in_cgroups(cgroups)) if within else processes_of(lab, cgroups)
        # A zombie is gone as far as mounts and links are concerned.
        processes = tuple(pid for pid in processes if not zombie(pid))
        if not processes:
            break
        if time.monotonic() > deadline:
            raise LabError(f"processes that do not end: {processes}")
        thaw(cgroups)
        end(processes)
        time.sleep(0.02)
    remove_cgroups(cgroups)


def thaw(cgroups: Iterable[Path]) -> None:
    """Wake what a freezer of version 1 holds: until then not even SIGKILL ends it."""
    for group in cgroups:
        with contextlib.suppress(OSError):
            if (group / "freezer.state").exists():
                (group / "freezer.state").write_text("THAWED")


def zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def remove_cgroups(cgroups: Iterable[Path]) -> None:
    for group in cgroups:
        for _attempt in range(50):
            try:
                group.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                # The kernel needs a moment after the last process has gone.
                time.sleep(0.02)


def unmount(directory: Path) -> None:
    for point in mounts_below(Path("/proc/self/mountinfo").read_text(), str(directory)):
        done = subprocess.run(["umount", point], capture_output=True, text=True)
        if done.returncode:
            # Something of a third party stands in it; detached, it ends with that.
            run(["umount", "--lazy", point])


TRIALS = "runner-preflight-trial-"


def remove_trials() -> None:
    """Directories in which a killed call was trying what this machine can do; their mounts ended with it."""
    for path in Path("/run").glob(f"{TRIALS}*"):
        if not Path("/proc", path.name.removeprefix(TRIALS)).exists():
            with contextlib.suppress(OSError):
                path.rmdir()


def remove(lab: Lab) -> Leftovers:
    """Remove everything; what there was. LabError when something stays."""
    before = find(lab)
    remove_trials()
    if before:
        containers.remove(lab)
        kill_all(lab)
        for link in links_of(run(["ip", "-o", "link"]).stdout, lab.prefix) if before.links else ():
            run(["ip", "link", "del", link], check=False)
        for file in before.files:
            file.rmdir() if file.is_dir() else file.unlink(missing_ok=True)
        unmount(lab.run_dir)
        remove_cgroups(cgroups_of(lab))
    for directory in made_directories(lab):
        # Somebody else may use it by now.
        with contextlib.suppress(OSError):
            directory.rmdir()
    if lab.run_dir.is_dir():
        # rmdir, not a tree's removal: a mount still there must stop us.
        lab.run_dir.rmdir()
    if kernel.NOTE.exists() and os.geteuid() == 0:
        with choosing():
            kernel.restore_limit()
    after = find(lab)
    if after:
        raise LabError(f"could not remove {after}: {after!r}")
    return before
