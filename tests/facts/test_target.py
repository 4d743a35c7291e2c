"""What production itself keeps, as its machine tells it: by every sh there is, whole, half and not at all."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fixtures.facts.context import Context, DryRun, HostLock, Releases
from fixtures.facts.dryrun import DryRun as Tried
from fixtures.facts.limits import Size
from fixtures.facts.seen import NotApplicable, Output, Unseen
from fixtures.facts.target import TARGET_FACTS, Release, ReleasesKept, asks, declared
from fixtures.facts.target import HostLock as Lock
from tests.shells import environment, run
from tests.worlds import output, runner, world

LIVE, GOOD, OLD = "a" * 40, "b" * 40, "c" * 40
NOW = datetime.now(UTC)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A target in a place that must be quoted: three releases, the newest live."""
    home = tmp_path / "a target"
    for sha in (LIVE, GOOD, OLD):
        (home / "releases" / sha).mkdir(parents=True)
        (home / "releases" / sha / ".complete").touch()
    (home / "current").symlink_to(home / "releases" / LIVE)
    return home


def at(place: Path) -> Context:
    base = world()
    kept = Releases("app", f"{place}/releases", f"{place}/current", ".complete")
    return replace(
        base,
        rollback=replace(base.rollback, releases=kept),
        deploy=replace(base.deploy, host_lock=HostLock("app", f"{place}/deploy.lock")),
    )


def said(sh: list[str], name: str, context: Context) -> Output:
    script = TARGET_FACTS[name].shell(context)
    done = subprocess.run(
        [*sh, "-c", script], capture_output=True, text=True, env=environment(sh), stdin=subprocess.DEVNULL, check=False
    )
    return Output("done", done.returncode, done.stdout, done.stderr)


def kept(sh: list[str], place: Path) -> ReleasesKept:
    return ReleasesKept.parse(said(sh, "releases_kept", at(place)), at(place))


def test_a_target_with_a_way_back(sh: list[str], place: Path) -> None:
    told = kept(sh, place)
    assert {release.name for release in told.kept} == {LIVE, GOOD, OLD}
    assert told.faults(LIVE, GOOD) == []
    assert told.free > 0


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda p: (p / "releases" / GOOD / ".complete").unlink(), "the last good release bbbbbbbbbbbb is incomplete"),
        (lambda p: (p / "releases" / GOOD).rename(p / GOOD), "the last good release bbbbbbbbbbbb is gone"),
        (
            lambda p: [(p / "current").unlink(), (p / "current").symlink_to(p / "releases" / OLD)],
            "live there is cccccccccccc",
        ),
        (lambda p: (p / "current").unlink(), "live there is nothing"),
        (lambda p: [(p / "releases" / sha / ".complete").unlink() for sha in (GOOD, OLD)], "keeps 1 complete releases"),
        (lambda p: (p / "releases").rename(p / "away"), "live there is nothing"),
    ],
)
def test_what_stands_in_the_way(sh: list[str], place: Path, act: Callable[[Path], object], says: str) -> None:
    act(place)
    assert says in "; ".join(kept(sh, place).faults(LIVE, GOOD))


def test_a_first_release_needs_none_before_it() -> None:
    one = ReleasesKept("app:/srv", (Release(LIVE, True),), LIVE, Size(5))
    assert one.faults(LIVE, "") == []


def test_a_name_is_the_commit_or_its_first_letters() -> None:
    assert Release(LIVE[:7], True).of(LIVE)
    assert not Release(LIVE[:6], True).of(LIVE)
    assert not Release("20261125-1200", True).of(LIVE)


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_unknown(place: Path) -> None:
    (place / "releases").chmod(0)
    with pytest.raises(Unseen, match="cannot be read"):
        kept(["sh"], place)


@pytest.mark.parametrize(
    "text", ["no hidden\n", "no there\n", "release complete x\nend\n", "current x\nend\n", "current\nfree 5\n"]
)
def test_half_an_answer_is_unknown(text: str) -> None:
    with pytest.raises(Unseen):
        ReleasesKept.parse(output(text), at(Path("/srv")))


def lock(sh: list[str], place: Path) -> Lock:
    return Lock.parse(said(sh, "host_lock", at(place)), at(place))


def test_a_lock_that_is_free(sh: list[str], place: Path) -> None:
    assert not lock(sh, place).held


def test_a_lock_that_is_a_file_names_its_holder(sh: list[str], place: Path) -> None:
    (place / "deploy.lock").write_text("run 4711\nby alice\n")
    os.utime(place / "deploy.lock", (NOW.timestamp(), NOW.timestamp()))
    told = lock(sh, place)
    assert told.held
    assert told.told(NOW + timedelta(minutes=5)).endswith("by run 4711 by alice")
    assert "is held for 5 min" in told.told(NOW + timedelta(minutes=5, seconds=1))


def test_a_lock_that_is_a_directory_has_a_file_for_that(sh: list[str], place: Path) -> None:
    (place / "deploy.lock").mkdir()
    assert "somebody who left no name" in lock(sh, place).told(NOW)
    (place / "deploy.lock" / "details").write_text("bob's laptop")
    assert lock(sh, place).holder == "bob's laptop"


def details(process: int) -> list[str]:
    """As the reference deployment writes them: process, its start, its namespace, the boot."""
    start = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return [str(process), start, os.readlink("/proc/self/ns/pid"), boot]


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, True),
        ({1: "1"}, False),  # the number went to another process
        ({3: "0d6ff9e2-0000-4000-8000-000000000000"}, False),  # the machine was started anew
        ({0: "999999999"}, False),
        ({2: "pid:[1]"}, True),  # a process of another namespace cannot be seen from here
        ({2: "pid"}, True),
        ({3: "$(id)"}, True),
    ],
)
def test_a_lock_whose_process_is_gone_is_left_behind(
    sh: list[str], place: Path, change: dict[int, str], held: bool
) -> None:
    words = details(os.getpid())
    for at, word in change.items():
        words[at] = word
    (place / "deploy.lock").write_text(f"run 4711, since 2026-11-25T10:00:00Z, process {' '.join(words)}\n")
    told = lock(sh, place)
    assert (told.held, told.left) == (held, not held)
    assert "run 4711" in told.holder
    assert ("was left behind by a deploy that was killed" in repr(told)) is not held


def test_a_zombie_holds_nothing(place: Path) -> None:
    child = subprocess.Popen(["sleep", "60"])
    words = details(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    (place / "deploy.lock").write_text(f"x, process {' '.join(words)}\n")
    try:
        assert lock(["sh"], place).left
    finally:
        child.wait()


@pytest.mark.parametrize("text", ["lock hidden\nend\n", "lock\nend\n", "lock there\n", ""])
def test_a_lock_that_cannot_be_looked_at_is_unknown(text: str) -> None:
    with pytest.raises(Unseen):
        Lock.parse(output(text), at(Path("/srv")))


def test_machines_are_asked_once_and_only_where_declared() -> None:
    names = frozenset(TARGET_FACTS) | {"disks"}
    both = asks(at(Path("/srv")), names)
    assert {host: [fact.NAME for fact in facts] for host, facts in both.items()} == {
        "app": ["host_lock", "releases_kept"]
    }
    assert asks(world(), names) == {}
    with pytest.raises(NotApplicable, match=r"rollback\.releases"):
        declared(ReleasesKept, world())


def tried(sh: list[str], command: str, tmp_path: Path, seconds: int = 5) -> Tried:
    base = world()
    context = replace(base, rollback=replace(base.rollback, dry_run=DryRun(command, seconds)))
    of = replace(runner(), directory=str(tmp_path))
    return Tried.parse(run(sh, "dry_run", of, context), of)


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("echo fine", ""),
        ("echo 'it''s not' >&2; exit 3", "the dry run did not pass: exit 3 (its not)"),
        ("no-such-command-here", "exit 127"),
        ("test -d . && pwd >/dev/null", ""),
    ],
)
def test_a_dry_run(sh: list[str], tmp_path: Path, command: str, fault: str) -> None:
    told = tried(sh, command, tmp_path)
    assert (told.fault == "") is (fault == "")
    assert fault in told.fault


def test_a_dry_run_that_never_ends(tmp_path: Path) -> None:
    assert tried(["sh"], "sleep 60", tmp_path, 1).fault == "the dry run did not pass: its time ran out"


def test_without_a_dry_run_there_is_nothing_to_judge(tmp_path: Path) -> None:
    of = replace(runner(), directory=str(tmp_path))
    with pytest.raises(NotApplicable):
        _ = Tried.parse(run(["sh"], "dry_run", of), of).fault
