"""The hosts' base image (engine `nspawn`): built once, cached as a tarball and as an unpacked tree.

Two keys: the tarball's is a hash of the package list and of how it is built, the tree's adds the
customise code and the files it installs. Both live in the user's cache directory.
"""

import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.process import LabError, run
from lab.world import RUNNER_VERSION

SUITE = "bookworm"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "procps", "iproute2",
    "iputils-ping", "nftables", "python3-minimal", "libpython3-stdlib", "ca-certificates", "sudo",
    "faketime", "curl", "openssl", "chrony",
)  # fmt: skip
VARIANTS = {
    "podman": (
        "podman", "crun", "netavark", "aardvark-dns", "slirp4netns", "uidmap", "fuse-overlayfs", "iptables",
        "busybox-static",
    ),
    "docker": ("docker.io", "iptables", "busybox-static"),
}  # fmt: skip
"""Images with a container runtime, for the few tests that need one: built when first asked for."""
STORES = {"podman": "/var/lib/containers", "docker": "/var/lib/docker"}
"""Where a runtime keeps its images: that cannot lie on the host's own disk, which is an overlay already."""
EXCLUDED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
AGENT = Path(__file__).resolve().parent / "agent"
KEPT = 3
"""Unpacked trees (about 210 MB each) that stay in the cache, newest first."""

PR_SET_PDEATHSIG = 1
SEPARATE = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
"""mmdebstrap and chroots mount the real /dev, /proc and /sys into their trees. In namespaces of
their own nothing of that survives a kill, and no later delete can walk into the real ones."""


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "runner-preflight"


def tarball_command(target: Path, variant: str = "") -> list[str]:
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join((*PACKAGES, *VARIANTS.get(variant, ())))}",
        *options,
        SUITE,
        str(target),
    ]


def tarball_key(variant: str = "") -> str:
    return hashlib.sha256(repr((os.uname().machine, tarball_command(Path("-"), variant))).encode()).hexdigest()[:12]


def tree_key(variant: str = "") -> str:
    digest = hashlib.sha256(f"{tarball_key(variant)} {RUNNER_VERSION}".encode())
    for path in sorted(AGENT.iterdir()):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def separately(argv: list[str], *, cwd: Path, log: Path, temporary: Path) -> None:
    """Run `argv` where it can leave no mount and no process behind, however this ends."""
    environment = {**os.environ, "TMPDIR": str(temporary), "LC_ALL": "C"}
    with log.open("ab") as out:
        done = subprocess.run(
            [*SEPARATE, *argv], cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            preexec_fn=die_with_parent,
        )  # fmt: skip
    if done.returncode:
        raise LabError(f"exit {done.returncode}: {' '.join(argv)}\n{log.read_text(errors='replace')[-1500:]}")


def remove_tree(path: Path) -> None:
    """Delete a tree, never through a mount."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    if any(m == str(path) or m.startswith(f"{path}/") for m in mounted):
        raise LabError(f"will not delete {path}: something is mounted in it")
    run(["rm", "-rf", "--one-file-system", str(path)], seconds=120)


@contextmanager
def alone(folder: Path, variant: str) -> Iterator[None]:
    """Two checkouts share the cache: one builds a variant, the other waits for it and for no other."""
    with open(folder / named("lock", variant, ""), "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def named(kind: str, variant: str, key: str) -> str:
    """`tree-KEY`, or `tree-podman-KEY` for a variant: each is cleared away among its own kind."""
    return "-".join(filter(None, (kind, variant, key)))


def working(folder: Path, variant: str, what: str) -> Path:
    """A directory that a build uses and removes."""
    return folder / f"building-{variant or 'base'}-{what}"


def tree_of(variant: str = "") -> Path:
    return cache() / named("tree", variant, tree_key(variant))


def ready(variant: str = "") -> bool:
    """Whether `ensure` has nothing to do."""
    return tree_of(variant).is_dir()


def ensure(say: Callable[[str], None], variant: str = "") -> Path:
    """The unpacked, customised tree; built if it is not there yet."""
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    tree = tree_of(variant)
    with alone(folder, variant):
        # What a killed build left.
        for path in (working(folder, variant, "work"), working(folder, variant, "tmp")):
            if path.exists():
                remove_tree(path)
        if not tree.is_dir():
            build(folder, tree, say, variant)
        os.utime(tree)
        tidy(folder, tree, variant)
    return tree


def tarball(say: Callable[[str], None]) -> Path | None:
    """The base image as a tarball, for engines that unpack it themselves; None where this machine cannot make it."""
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    found = tarball_file(folder, "")
    if found.exists():
        return found
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        return None
    ensure(say)
    return found


def tarball_file(folder: Path, variant: str) -> Path:
    return folder / f"{named('base', variant, tarball_key(variant))}.tar.zst"


def build(folder: Path, tree: Path, say: Callable[[str], None], variant: str) -> None:
    work, temporary = working(folder, variant, "work"), working(folder, variant, "tmp")
    for path in (work, temporary):
        path.mkdir()
    log = folder / f"{named('build', variant, '')}.log"
    log.write_bytes(b"")
    tarball = tarball_file(folder, variant)
    if not tarball.exists():
        started = time.monotonic()
        say(f"{variant or 'base'} image: {SUITE} with its packages, from the Debian mirror (once, about a minute)")
        part = temporary / "base.tar.zst"
        separately(tarball_command(part, variant), cwd=folder, log=log, temporary=temporary)
        part.replace(tarball)
        say(f"{variant or 'base'} image: {tarball.stat().st_size >> 20} MB in {time.monotonic() - started:.1f} s")
    started = time.monotonic()
    separately(
        ["tar", "--zstd", "-xf", str(tarball), "-C", str(work), "--exclude=./dev/*"],
        cwd=folder,
        log=log,
        temporary=temporary,
    )
    shutil.copytree(AGENT, work / "tmp" / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    separately(
        ["chroot", str(work), "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "/tmp/agent/customise.sh", RUNNER_VERSION],
        cwd=folder, log=log, temporary=temporary,
    )  # fmt: skip
    shutil.rmtree(work / "tmp" / "agent")
    work.replace(tree)
    remove_tree(temporary)
    say(f"image: unpacked and customised in {time.monotonic() - started:.1f} s")


def in_use(tree: Path) -> bool:
    return f"lowerdir={tree}" in Path("/proc/self/mountinfo").read_text()


def tidy(folder: Path, current: Path, variant: str) -> None:
    """Old trees and tarballs of a variant go, unless a running lab stands on one."""
    twelve = "[0-9a-f]" * 12
    trees = sorted(folder.glob(named("tree", variant, twelve)), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in trees[1 if variant else KEPT :]:
        if old != current and not in_use(old):
            remove_tree(old)
    tarballs = folder.glob(f"{named('base', variant, twelve)}.tar.zst")
    for tarball in sorted(tarballs, key=lambda p: p.stat().st_mtime, reverse=True)[1 if variant else KEPT :]:
        tarball.unlink()
