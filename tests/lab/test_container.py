"""Engines for containers: what is pure, and each engine for real, inside a host of the lab that has it."""

from __future__ import annotations

import io
import re
import subprocess
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from lab import container, containers, engine, image, tree
from lab.copy import STATE
from lab.process import LabError
from lab.world import Lab, Shape
from tests.lab.copies import Copy, copied

NEEDED = ("paramiko", "PyYAML")
"""What the lab itself imports beside the standard library, by the names of the distributions."""


def tops(names: Iterable[str]) -> set[str]:
    """The entries of site-packages that these distributions, and all that they require, consist of."""
    found: set[str] = set()
    left, seen = list(names), set()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            dist = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            # A requirement of an extra, or of another system.
            continue
        found |= {file.parts[0] for file in dist.files or () if file.parts[0] not in ("..", "__pycache__")}
        left += [
            re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in dist.requires or () if "extra ==" not in text
        ]
    return found


def test_hosts_of_a_container_engine_have_a_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.network.probe_taken", lambda: frozenset({7}))
    lab = Lab("podman", root=tmp_path)
    container.Container("podman").plan(lab, {"prod-runner-01": Shape(), "prod-runner-02": Shape(memory="200m")})
    assert [host.unit for host in lab.hosts] == [tree.unit_name(host.name) for host in lab.hosts]
    assert lab.address.endswith(".1")
    assert not lab.named


@pytest.mark.parametrize("shape", [Shape(disk="1g"), Shape(image="podman")])
def test_what_containers_cannot_have_is_refused(tmp_path: Path, shape: Shape) -> None:
    with pytest.raises(LabError, match="engine docker: hosts share"):
        container.Container("docker").plan(Lab("docker", root=tmp_path), {"prod-runner-01": shape})


def test_files_keep_owner_and_mode() -> None:
    packed = container.archive({"/opt/x": tree.File("a\u2028b", 0o600, 1001)})
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        member = tar.getmember("opt/x")
        assert (member.mode, member.uid, member.gid) == (0o600, 1001, 1001)
        held = tar.extractfile(member)
        assert held is not None
        assert held.read().decode() == "a\u2028b"


def test_a_bare_debian_gets_the_same_packages() -> None:
    bare, ready = (container.containerfile("x", bare=bare) for bare in (True, False))
    assert bare.startswith("FROM x\n")
    assert all(package in bare for package in image.PACKAGES)
    assert "apt-get" not in ready
    assert bare.split("COPY", 1)[1] == ready.split("COPY", 1)[1]


def test_an_engine_that_is_not_there_is_not_installed_for_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "which", lambda _command: None)
    for cli in containers.ENGINES:
        probe = engine.PROBES[cli]()
        assert not probe.possible
        assert probe.reason.startswith(f"there is no {cli}")


@pytest.fixture
def outer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Copy]:
    """A lab whose first host has the container engine. Most machines have none that works, and this one needs none."""
    with copied("nspawn", tmp_path / "a checkout") as copy:
        copy.run("up", "--hosts", "1", "--with", str(request.param), "--disk", "2g")
        yield copy
        copy.run("down")


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize(("outer", "cli"), [(cli, cli) for cli in containers.ENGINES], indirect=["outer"])
def test_an_engine_for_containers_runs_the_same_hosts(outer: Copy, cli: str) -> None:
    def inside(script: str, data: bytes = b"", seconds: float = 300) -> str:
        argv = ["shell", "prod-runner-01", "/bin/bash", "-euc", script]
        process = outer.start_bytes(*argv)
        said, _ = process.communicate(data, timeout=seconds)
        assert process.returncode == 0, said.decode(errors="replace")
        return said.decode(errors="replace")

    def sent(folder: Path, names: list[str], to: str) -> None:
        packed = subprocess.run(["tar", "-C", str(folder), "-cf", "-", *names], capture_output=True, check=True).stdout
        inside(f"mkdir -p {to}; tar -C {to} -xf -", packed)

    base = image.tarball(print)
    assert base is not None
    sent(outer.root, [path.name for path in outer.root.iterdir() if path.name not in STATE], "/root/checkout")
    site = Path(sysconfig.get_paths()["platlib"])
    present = sorted(name for name in tops(NEEDED) if (site / name).exists())
    sent(site, present, "/root/site")
    # Unpacked: not every engine reads the compression, and the host has no program for it.
    unpacked = subprocess.run(["zstd", "-dc", str(base)], capture_output=True, check=True).stdout
    inside(f"cd /root; mkdir -p .cache/runner-preflight; cat > .cache/runner-preflight/{base.name}", unpacked)

    lab = f"cd /root/checkout; export PYTHONPATH=/root/site LAB_ENGINE={cli}; "
    assert f"engine {cli}: asked for" in inside(lab + "python3 -m lab up")
    assert "broken by: nothing" in inside(lab + "python3 -m lab status")
    pid_1 = inside(lab + "python3 -m lab shell prod-runner-02 cat /proc/1/comm")
    assert pid_1.strip() == "systemd"
    for fault in ("service-stopped", "sshd-wedged", "host-key-changed", "all-hosts-silent"):
        inside(
            lab + f"python3 -m lab break {fault}; ! python3 -m lab status; python3 -m lab heal; python3 -m lab status"
        )
    assert "needs engine nspawn" in inside(lab + "! python3 -m lab break power-cut 2>&1")
    inside(lab + "python3 -m lab shell prod-runner-01 touch /root/mark; python3 -m lab reset prod-runner-01")
    inside(lab + "! python3 -m lab shell prod-runner-01 test -e /root/mark; python3 -m lab status")
    # Killed in the middle of a reset: the next command still finds and removes everything.
    inside(lab + "python3 -m lab reset prod-runner-01 >/dev/null 2>&1 & sleep 1; kill -KILL $!; python3 -m lab down")
    left = inside(
        f"{cli} ps --all --quiet; {cli} network ls --quiet --filter label=runner-preflight-lab; ls -d /root/checkout/.lab || true"
    )
    assert "prod-runner" not in left
    assert left.split() in (
        [],
        ["ls:", "cannot", "access", "'/root/checkout/.lab':", "No", "such", "file", "or", "directory"],
    )
