"""Labs of their own for the tests: a copy of the checkout has its own id, so a lab that somebody has up here is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import leftovers, world
from lab.copy import copy_checkout
from lab.engine import PROBES, Probe
from lab.world import Lab


def probed(engine: str) -> Probe:
    probe = PROBES[engine]()
    if probe.possible and probe.missing:
        return Probe(False, f"missing {', '.join(probe.missing)}")
    if probe.possible and engine == "nspawn" and os.geteuid() != 0:
        return Probe(False, "it would need sudo")
    return probe


@dataclass
class Copy:
    """A checkout of its own, and the engine it uses."""

    root: Path
    engine: str

    @property
    def lab(self) -> Lab:
        return Lab(self.engine, root=self.root)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "lab", *words],
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start_bytes(self, *words: str) -> subprocess.Popen[bytes]:
        """The same for what is fed bytes."""
        argv = [sys.executable, "-m", "lab", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            argv, cwd=self.root, env=self.environment(), stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT
        )

    def environment(self) -> dict[str, str]:
        found = {**os.environ, "LAB_ENGINE": self.engine, "PYTHONDONTWRITEBYTECODE": "1"}
        found.pop("PYTHONPATH", None)
        return found

    def run(self, *words: str, code: int = 0) -> str:
        process = self.start(*words)
        said, _ = process.communicate(timeout=240)
        assert process.returncode == code, f"lab {' '.join(words)}: exit {process.returncode}\n{said}"
        return said

    def on_the_machine(self) -> dict[str, set[str]]:
        """What the machine holds of this copy: other labs come and go beside it."""
        mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
        links = {link.name for link in Path("/sys/class/net").iterdir()}
        mine = self.lab.prefix.removeprefix("rp-")
        spaces = subprocess.run(
            ["lsns", "-n", "-t", "net", "-o", "NSFS"], capture_output=True, text=True, check=False
        ).stdout
        locks = Path("/run/systemd/nspawn/propagate")
        return {
            "mounts": {m for m in mounts if mine in m},
            "links": {link for link in links if mine in link},
            "net namespaces": {line for line in spaces.split() if mine in line},
            "processes": {f"{pid} {name}" for pid, name in processes() if str(self.root) in name or self.marked(pid)},
            "cgroups": {str(path) for path in leftovers.cgroups_of(self.lab)},
            "files": {str(p) for p in (self.lab.run_dir, self.lab.state) if p.exists()}
            | {p.name for p in locks.glob(f"{self.lab.prefix}-*")},
        }

    def marked(self, pid: int) -> bool:
        try:
            return f"{world.MARK}={self.lab.id}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False


def processes() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue


@contextmanager
def copied(engine: str, root: Path) -> Iterator[Copy]:
    """A copy of the lab at `root`, skipped with the reason where this machine cannot run the engine."""
    probe = probed(engine)
    if not probe.possible:
        pytest.skip(f"engine {engine}: {probe.reason}")
    copy_checkout(world.ROOT, root)
    one = Copy(root, engine)
    try:
        yield one
    finally:
        leftovers.remove(one.lab)
