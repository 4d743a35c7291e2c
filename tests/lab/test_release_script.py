"""The reference deployment, by every sh: killed at each boundary, under load, and what it lays down as the gate reads it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.facts.context import Context, HostLock, Releases
from fixtures.facts.seen import Output
from fixtures.facts.target import TARGET_FACTS, ReleasesKept
from fixtures.facts.target import HostLock as Lock
from lab import release
from lab.load import Load
from tests.shells import SHELLS, environment
from tests.worlds import ROOT, world

A, B, C, SICK = "a" * 40, "b" * 40, "c" * 40, "d" * 40
STEPS = [
    "locked", "clean", "received", "digest verified", "unpacked", "complete", "noted", "switched to", "serves", "good",
]  # fmt: skip


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("artifacts")
    for version in (A, B, C, *(f"{n:040x}" for n in range(1, 7))):
        release.lay(place, version)
    release.lay(place, SICK, sick=True)
    return place


def every_shell() -> list[Any]:
    """dash in the normal suite, the others in the long one."""
    return [
        it if it.id == "dash" else pytest.param(*it.values, id=it.id, marks=[*it.marks, pytest.mark.slow])
        for it in SHELLS
    ]


@pytest.fixture(params=every_shell())
def sh(request: pytest.FixtureRequest) -> list[str]:
    argv: list[str] = request.param
    return argv


NONE: Mapping[str, str] = {}


@dataclass
class Machine:
    """A target on this machine, in a place that must be quoted, and the site that serves it."""

    sh: list[str]
    root: Path
    artifacts: Path
    url: str
    more: dict[str, str] = field(default_factory=dict)

    def environ(self, **env: str) -> dict[str, str]:
        kept = {name: value for name, value in environment(self.sh).items() if not name.startswith("GITHUB_")}
        return kept | {
            "RELEASE_TARGET": "",
            "RELEASE_ROOT": str(self.root),
            "RELEASE_SERVED": f"curl -fsS -m 2 {self.url}version",
            "RELEASE_HEALTHY": "1",
            "RELEASE_PATIENCE": "1",
            **self.more,
            **env,
        }

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        version = words[1] if len(words) > 1 else ""
        # Whoever starts the tests with nohup has them ignore a hang-up, and a shell cannot trap what it was born to ignore.
        return subprocess.Popen(
            ["/usr/bin/env", "--default-signal=HUP,INT,TERM", shutil.which(self.sh[0]) or self.sh[0], *self.sh[1:], release.SCRIPT, *words],
            env=self.environ(RELEASE_ARTIFACT=str(self.artifacts / f"{version}.tar.gz")) | env, cwd=self.artifacts,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, *words: str, code: int = 0, env: Mapping[str, str] = NONE, **more: str) -> str:
        child = self.start(*words, **env, **more)
        said, _ = child.communicate(timeout=60)
        assert child.returncode == code, said
        return said

    def killed_after(self, boundary: str, *words: str, **env: str) -> str:
        """What it said until SIGKILL struck its whole group, right after that step."""
        child = self.start(*words, RELEASE_PAUSE="20", **env)
        assert child.stdout is not None
        said = ""
        for line in child.stdout:
            said += line
            if line.startswith(f"step: {boundary}"):
                break
            if line.startswith("step: "):
                # Its rest is over: the child that sleeps is the only one.
                wake(child.pid)
        else:
            pytest.fail(f"it never came to {boundary}: {said}")
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(10)
        child.stdout.close()
        return said

    def live(self) -> str:
        link = self.root / "current"
        return link.resolve().name if link.is_symlink() else ""

    def fact(self, name: str) -> Output:
        script = TARGET_FACTS[name].shell(self.context)
        done = subprocess.run(
            [*self.sh, "-c", script], env=environment(self.sh), capture_output=True, text=True, check=False, timeout=20
        )
        return Output("done", done.returncode, done.stdout, done.stderr)

    @property
    def context(self) -> Context:
        base = world()
        kept = Releases("app", f"{self.root}/releases", f"{self.root}/current", ".complete")
        lock = HostLock("app", f"{self.root}/deploy.lock")
        return replace(
            base, rollback=replace(base.rollback, releases=kept), deploy=replace(base.deploy, host_lock=lock)
        )

    def kept(self) -> ReleasesKept:
        return ReleasesKept.parse(self.fact("releases_kept"), self.context)

    def lock(self) -> Lock:
        return Lock.parse(self.fact("host_lock"), self.context)


def wake(group: int) -> None:
    """End the pause that a step of this process group rests in."""
    for _ in range(500):
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                stat = Path("/proc", name, "stat").read_text()
                program = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if (
                int(stat.rpartition(")")[2].split()[2]) == group
                and b"20" in program
                and any(b"sleep" in p for p in program)
            ):
                os.kill(int(name), signal.SIGKILL)
                return
        time.sleep(0.01)
    pytest.fail("nothing rests")


@pytest.fixture
def machine(sh: list[str], tmp_path: Path, artifacts: Path) -> Iterator[Machine]:
    root = tmp_path / "a target's"
    root.mkdir()
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "lab.site", "--listen", "127.0.0.1:0", "--home", root], cwd=ROOT,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    port = server.stdout.readline().strip().rpartition(":")[2]
    try:
        yield Machine(sh, root, artifacts, f"http://127.0.0.1:{port}/")
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_a_deploy_and_another_and_the_way_back(machine: Machine) -> None:
    said = machine.run("deploy", A)
    assert re.findall(r"^step: ([a-z ]+?)(?: [0-9a-f]{40})?$", said, re.MULTILINE) == STEPS
    machine.run("deploy", B)
    assert machine.live() == B
    assert machine.run("served").strip() == B
    assert machine.kept().faults(B, A) == []
    assert "is whole, live and served" in machine.run("verify", B)
    assert "live is" in machine.run("verify", A, code=69)
    machine.run("return", A)
    assert machine.live() == A
    assert machine.run("served").strip() == A
    assert machine.kept().faults(A, B) == []
    assert not machine.lock().held
    assert sorted(os.listdir(machine.root)) == [
        ".guard",
        "changed",
        "current",
        "good",
        "incoming",
        "previous",
        "releases",
    ]


def test_a_second_time_changes_nothing(machine: Machine) -> None:
    machine.run("deploy", A)
    machine.run("deploy", B)
    before = (machine.root / "current").lstat().st_ino
    assert "is live already" in machine.run("deploy", B)
    assert (machine.root / "current").lstat().st_ino == before


@pytest.mark.parametrize("boundary", STEPS)
def test_killed_at_any_boundary_one_whole_release_serves_and_the_retry_lands(machine: Machine, boundary: str) -> None:
    machine.run("deploy", A)
    with Load(machine.url, connections=2) as load:
        machine.killed_after(boundary, "deploy", B)
        after = STEPS.index(boundary) >= STEPS.index("switched to")
        assert machine.run("served").strip() == (B if after else A)
        lock = machine.lock()
        assert not lock.held, "whoever was killed holds nothing"
        assert "left behind" in repr(lock)
        said = machine.run("deploy", B)
        assert "a deploy was killed here" in said
    assert (load.count.failed, load.count.mixed) == (0, 0), load.count.told
    assert load.count.order in ([A, B], [B])
    assert machine.live() == B and machine.run("verify", B)
    assert all(kept.complete for kept in machine.kept().kept)
    assert machine.kept().faults(B, A) == []
    assert os.listdir(machine.root / "incoming") == []


@pytest.mark.parametrize("boundary", ["locked", "noted", "switched to", "serves", "good"])
def test_a_return_that_is_killed_can_be_done_again(machine: Machine, boundary: str) -> None:
    machine.run("deploy", A)
    machine.run("deploy", B)
    machine.killed_after(boundary, "return", A)
    assert machine.run("served").strip() in (A, B)
    machine.run("return", A)
    assert machine.live() == A and machine.kept().faults(A, B) == []


@pytest.mark.parametrize("boundary", ["unpacked", "switched to", "serves"])
def test_what_was_killed_is_taken_back_by_the_run_that_did_it(machine: Machine, boundary: str) -> None:
    machine.run("deploy", A)
    run = {"GITHUB_RUN_ID": "4711", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_REPOSITORY": "acme/widgets"}
    machine.killed_after(boundary, "deploy", B, **run)
    machine.run("undo", B, env=run)
    assert machine.live() == A and machine.run("verify", A)


def test_undo_takes_back_what_this_run_did_and_nothing_else(machine: Machine) -> None:
    mine, other = {"GITHUB_RUN_ID": "1"}, {"GITHUB_RUN_ID": "2"}
    machine.run("deploy", A)
    machine.run("deploy", B, env=mine)
    assert "nothing to take back" in machine.run("undo", B, env=other)
    assert "nothing to take back" in machine.run("undo", C, env=mine)
    # Another run found it live already, and changed nothing.
    machine.run("deploy", B, env=other)
    assert "nothing to take back" in machine.run("undo", B, env=other)
    assert "took" in machine.run("undo", B, env=mine)
    assert machine.live() == A
    assert "nothing to take back" in machine.run("undo", B, env=mine)
    assert machine.live() == A


def test_a_release_that_does_not_serve_is_taken_back(machine: Machine) -> None:
    machine.run("deploy", A)
    assert "does not serve" in machine.run("deploy", SICK, code=69)
    assert machine.live() == A and machine.run("served").strip() == A
    assert "nothing to take back" in machine.run("undo", SICK)


def test_the_first_of_all_that_does_not_serve_leaves_nothing_live(machine: Machine) -> None:
    machine.run("deploy", SICK, code=69)
    assert machine.live() == ""


def test_an_artifact_that_is_not_the_one_that_was_built(machine: Machine, tmp_path: Path) -> None:
    machine.run("deploy", A)
    said = machine.run("deploy", B, code=65, RELEASE_DIGEST="0" * 64)
    assert "is not the one that was built" in said and "step: digest verified" not in said
    assert machine.live() == A and not (machine.root / "releases" / B).exists()
    bare = tmp_path / "bare.tar.gz"
    shutil.copy(machine.artifacts / f"{B}.tar.gz", bare)
    assert "digest of" in machine.run("deploy", B, code=65, RELEASE_ARTIFACT=str(bare))
    assert "there is no artifact" in machine.run("deploy", B, code=66, RELEASE_ARTIFACT="/nowhere")


def test_what_is_not_kept_cannot_be_returned_to(machine: Machine) -> None:
    machine.run("deploy", A)
    assert "is not here any more" in machine.run("return", C, code=66)
    assert machine.live() == A


def test_old_releases_go_and_never_the_live_nor_the_last_good_one(machine: Machine) -> None:
    machine.more["RELEASE_KEEP"] = "2"
    names = [f"{n:040x}" for n in range(1, 7)]

    def deploy(name: str) -> None:
        machine.run("deploy", name)
        for mark in machine.root.glob("releases/*/.complete"):
            # busybox tells ages by the second.
            os.utime(mark, (mark.stat().st_mtime - 10,) * 2)

    for name in names[:4]:
        deploy(name)
    assert {kept.name for kept in machine.kept().kept} == set(names[2:4])
    # Twice the same one, and back: what was good before stays, however old it is.
    machine.run("return", names[2])
    for name in names[4:]:
        deploy(name)
    machine.more["RELEASE_KEEP"] = "0"
    deploy(names[0])
    assert {kept.name for kept in machine.kept().kept} == {names[0], names[5]}
    assert machine.kept().faults(names[0], names[5]) == []


def test_a_deploy_that_lives_keeps_its_lock_and_says_whose_it_is(machine: Machine) -> None:
    run = {"GITHUB_RUN_ID": "4711", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_REPOSITORY": "acme/widgets"}
    holder = machine.start("deploy", A, RELEASE_PAUSE="20", **run)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "step: locked\n"
        lock = machine.lock()
        assert lock.held and "run 4711 attempt 2 of acme/widgets, since 20" in lock.holder
        said = machine.run("deploy", B, code=75)
        assert "another deploy holds" in said and "run 4711 attempt 2 of acme/widgets" in said
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait(10)
        holder.stdout.close()
    machine.run("deploy", B)
    assert machine.live() == B


@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_who_is_asked_to_stop_leaves_no_lock(machine: Machine, blow: signal.Signals) -> None:
    machine.run("deploy", A)
    child = machine.start("deploy", B, RELEASE_PAUSE="2")
    assert child.stdout is not None
    with child.stdout as out:
        assert out.readline() == "step: locked\n"
        os.killpg(child.pid, blow)
        # Its end is the end of all that it started.
        assert "unpacked" not in out.read()
    assert child.wait(20) != 0
    assert not (machine.root / "deploy.lock").exists()
    assert machine.live() == A


def test_a_service_that_is_started_again_does_not_keep_the_lock(machine: Machine) -> None:
    machine.more["RELEASE_RESTART"] = "sleep 3 >/dev/null 2>&1 &"
    machine.run("deploy", A)
    machine.run("deploy", B, RELEASE_PATIENCE="0")


@pytest.mark.parametrize("name", ["../up", "-rf", "a b", "$(id)", ".hidden", "a/b"])
def test_names_that_are_none(machine: Machine, name: str) -> None:
    assert "no release is called" in machine.run("deploy", name, code=64)


def test_calls_that_are_none(machine: Machine) -> None:
    assert "usage" in machine.run("destroy", A, code=64)
    assert "usage" in machine.run(code=64)
    assert "which release" in machine.run("return", code=64)


def test_the_whole_way_under_load(machine: Machine) -> None:
    """Deploy, interrupted deploy, retry, rollback: nobody would have noticed."""
    machine.run("deploy", A)
    with Load(machine.url) as load:
        machine.run("deploy", B)
        for boundary in ("unpacked", "switched to"):
            machine.killed_after(boundary, "deploy", C)
        machine.run("deploy", C)
        machine.run(
            "deploy", SICK, code=69, RELEASE_SERVED="false", RELEASE_ARTIFACT=str(machine.artifacts / f"{A}.tar.gz")
        )
        machine.run("return", B)
        machine.run("return", A)
    assert (load.count.failed, load.count.mixed) == (0, 0), load.count.told
    assert load.count.requests > 100
    assert load.count.order[0] == A and load.count.order[-1] == A and B in load.count.order and C in load.count.order


def test_shellcheck_has_nothing_to_say_about_it() -> None:
    program = Path(sys.executable).with_name("shellcheck")
    scripts = sorted((ROOT / "lab/repository/scripts").glob("*.sh"))
    done = subprocess.run([program, "--shell=sh", *scripts], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
