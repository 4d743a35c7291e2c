"""The runner's processes: a listing read, and the same asked of this machine by every shell."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.facts.processes import Process, Processes
from fixtures.facts.seen import Unseen
from tests.shells import run
from tests.worlds import listener, output, processes, runner, worker, world

V1 = "9:name=systemd:/system.slice/r.service 8:pids:/ 0::/system.slice/r.service "
ROOT = "/opt/actions-runner"


def block(
    pid: int = 68,
    state: str = "S",
    parent: int = 60,
    cgroup: str = V1,
    args: str = f"{ROOT}/bin/Runner.Listener\trun\t",
    user: str = "runner",
) -> str:
    """One process as the shell prints it; it began 1000 s after the boot."""
    stat = (
        f"{pid} (Runner.Listener) {state} {parent} 30 30 0 -1 4194560 3232 0 2 0 5 1 0 0 20 0 1 0 100000 27680768 5254"
    )
    return f"process {user}\nstat {stat}\ncgroup {cgroup}\nargs {args}\n"


def told(
    *blocks: str,
    head: str = f"root {ROOT}\nservice r.service\nuptime 1060.50 100\nworker-log none\n",
    end: str = "init 1\n",
) -> Processes:
    return Processes.parse(output(head + "".join(blocks) + end), runner())


def test_a_listener() -> None:
    assert told(block()).listeners == (Process("listener", 68, 60, "runner", "S", "r.service", 60.5),)
    assert told(block()).service == "r.service"


@pytest.mark.parametrize(
    ("cgroups", "of"),
    [
        ("0::/system.slice/r.service ", "r.service"),
        (V1, "r.service"),
        ("0::/system.slice/r.service/child ", "r.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope ", ""),
        ("0::/ ", ""),
        ("", ""),
        ("0::/system.slice/actions.runner.a-b.x.service ", "actions.runner.a-b.x.service"),
        ("1:name=systemd:/ 0::/system.slice/r.service ", "r.service"),
    ],
)
def test_the_service_that_a_listener_lives_in(cgroups: str, of: str) -> None:
    assert told(block(cgroup=cgroups)).listeners[0].unit == of


@pytest.mark.parametrize(
    ("state", "alive"), [("S", True), ("R", True), ("D", True), ("T", False), ("t", False), ("Z", False), ("X", False)]
)
def test_who_is_stopped_or_dead_does_not_listen(state: str, alive: bool) -> None:
    assert told(block(state=state)).listening is alive


@pytest.mark.parametrize(
    ("args", "kinds"),
    [
        (f"{ROOT}/bin/Runner.Listener\trun\t--startuptype\tservice\t", "listener"),
        (f"{ROOT}/bin.2.336.0/Runner.Listener\trun\t", "listener"),
        ("./bin/Runner.Listener\trun\t", "listener"),
        ("bin/Runner.Listener\trun\t", "listener"),
        (f"{ROOT}/bin/Runner.Worker\tspawnclient\t10\t11\t", "worker"),
        (f"{ROOT}-2/bin/Runner.Listener\trun\t", ""),
        (f"/srv{ROOT}/bin/Runner.Listener\trun\t", ""),
        (f"{ROOT}/bin/Runner.Listener\tconfigure\t", ""),
        (f"{ROOT}/bin/Runner.Listener\trunning\t", ""),
        (f"vim\t{ROOT}/bin/Runner.Listener\trun\t", ""),
        (f"{ROOT}/bin.old/Runner.Listener\trun\t", ""),
        ("", ""),
    ],
)
def test_which_command_lines_are_this_runners(args: str, kinds: str) -> None:
    """Several runners live on one host, each in a root of its own; a relative start names none, and counts."""
    found = told(block(args=args))
    assert [p.kind for p in found.listeners + found.workers] == kinds.split()


def test_a_worker_has_a_living_listener_for_a_parent() -> None:
    worker_args = f"{ROOT}/bin/Runner.Worker\tspawnclient\t10\t11\t"
    assert not told(block(), block(99, parent=68, args=worker_args)).orphans
    assert not told(block(state="T"), block(99, parent=68, args=worker_args)).orphans, "stopped is not dead"
    assert told(block(), block(99, parent=1, args=worker_args)).orphans
    assert told(block(state="Z"), block(99, parent=68, args=worker_args)).orphans
    assert told(block(99, parent=68, args=worker_args)).orphans


@pytest.mark.parametrize(
    ("found", "turning"),
    [
        (processes(quiet=29.0), True),
        (processes(quiet=31.0), False),
        (processes(listener(), worker(seconds=29.0), quiet=9.0), True),
        (processes(listener(), worker(seconds=31.0), quiet=9.0), False),
    ],
)
def test_when_a_job_begins_or_ends(found: Processes, turning: bool) -> None:
    assert found.turning() is turning


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("worker-log none\n", 86_400.0),
        ("worker-log 500 400\n", 100.0),
        ("worker-log 400 500\n", 0.0),
        ("", -1.0),
        ("worker-log 5 \n", -1.0),
    ],
)
def test_when_the_last_job_ended(line: str, seconds: float) -> None:
    assert told(block(), head=f"root {ROOT}\nuptime 1.00 100\n{line}").quiet_seconds == seconds


def test_without_a_log_to_see_nothing_is_known() -> None:
    with pytest.raises(Unseen, match="when the last job ended"):
        processes(quiet=-1.0).turning()


@pytest.mark.parametrize(
    ("text", "code", "what"),
    [
        ("", 90, "cannot be entered"),
        (f"root {ROOT}\nuptime 1.00 100\n", 0, "hidepid"),
        ("uptime 1.00 100\ninit 1\n", 0, "half an answer"),
        (f"root {ROOT}\ninit 1\n", 0, "half an answer"),
        (f"root {ROOT}\nuptime 1.00 0\ninit 1\n", 0, "half an answer"),
        (f"root {ROOT}\nuptime {'9' * 5000} 100\ninit 1\n", 0, "half an answer"),
    ],
)
def test_what_was_not_told_is_unseen(text: str, code: int, what: str) -> None:
    with pytest.raises(Unseen, match=what):
        Processes.parse(output(text, code), runner())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "a runner"
    (path / "bin").mkdir(parents=True)
    for name in ("Runner.Listener", "Runner.Worker"):
        (path / "bin" / name).symlink_to(shutil.which("bash") or "bash")
    for name in ("run", "spawnclient"):
        (path / name).write_text("read -r _\n")
    return path


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Processes that are called as the runner's are, and wait."""
    made: list[subprocess.Popen[bytes]] = []

    def begin(program: str = "bin/Runner.Listener", script: str = "run", place: Path = home) -> subprocess.Popen[bytes]:
        argv = [f"{place}/{program}" if not program.startswith("./") else program, script]
        made.append(subprocess.Popen(argv, cwd=place, stdin=subprocess.PIPE))
        deadline = time.monotonic() + 5
        while Path(f"/proc/{made[-1].pid}/comm").read_text().strip() != Path(program).name:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return made[-1]

    yield begin
    for process in made:
        process.kill()
        process.wait()


def seen(sh: list[str], home: Path) -> Processes:
    of = runner(directory=str(home))
    return Processes.parse(run(sh, "processes", of), of)


def test_what_runs_here(sh: list[str], home: Path, start: Start) -> None:
    (home / ".service").write_text("r.service\n")
    one = start()
    found = seen(sh, home)
    assert [(p.pid, p.parent, p.user, p.alive) for p in found.listeners] == [
        (one.pid, os.getpid(), pwd.getpwuid(os.getuid()).pw_name, True)
    ]
    assert 0 <= found.listeners[0].seconds < 60
    assert (found.service, found.workers, found.quiet_seconds) == ("r.service", (), -1.0)
    other = runner(directory=str(home / "bin"))
    assert Processes.parse(run(sh, "processes", other), other).listeners == ()


@pytest.mark.parametrize(
    "settings", ['\ufeff{\n  "agentId": 6,\n  "agentName": "gpu box 1"\n}', '{"AgentId":"6","AgentName":"gpu box 1"}']
)
def test_whose_registration_lies_here(sh: list[str], home: Path, settings: str) -> None:
    assert seen(sh, home).registered == ""
    (home / ".runner").write_text(settings)
    assert seen(sh, home).registered == "gpu box 1"


def test_a_worker_is_seen_too(sh: list[str], home: Path, start: Start) -> None:
    start()
    job = start("bin/Runner.Worker", "spawnclient")
    found = seen(sh, home)
    assert [p.pid for p in found.workers] == [job.pid]
    assert found.orphans, "its parent is this test"


def test_a_stopped_listener_does_not_listen(home: Path, start: Start) -> None:
    start().send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 5
    while (found := seen(["sh"], home)).listening:
        assert time.monotonic() < deadline
    assert [p.state for p in found.listeners] == ["T"]


def test_two_listeners_are_two(home: Path, start: Start) -> None:
    """Of an updated root, by its version; and one that was started by hand, from within."""
    (home / "bin.2.336.0").symlink_to("bin")
    pids = {start().pid, start("bin.2.336.0/Runner.Listener").pid, start("./bin/Runner.Listener").pid}
    assert {p.pid for p in seen(["sh"], home).listeners} == pids


def test_one_that_was_started_by_hand_elsewhere_is_not_ours(
    sh: list[str], home: Path, start: Start, tmp_path: Path
) -> None:
    """A relative command line names no root, but its directory can be seen, by its own user."""
    shutil.copytree(home, tmp_path / "other", symlinks=True)
    start("./bin/Runner.Listener", place=tmp_path / "other")
    assert seen(sh, home).listeners == ()


def test_a_root_behind_a_link_is_the_same_root(home: Path, start: Start, tmp_path: Path) -> None:
    one = start()
    (tmp_path / "link").symlink_to(home)
    assert [p.pid for p in seen(["sh"], tmp_path / "link").listeners] == [one.pid]


def test_the_newest_worker_log_tells_when_a_job_ended(sh: list[str], home: Path) -> None:
    (home / "_diag").mkdir()
    assert seen(sh, home).quiet_seconds == 86_400.0
    for name, ago in (
        ("Worker_20260101-000000-utc.log", 5000),
        ("Worker_20260102-000000-utc.log", 100),
        ("Runner_x", 1),
    ):
        (home / "_diag" / name).write_text("")
        os.utime(home / "_diag" / name, (time.time() - ago,) * 2)
    assert 95 < seen(sh, home).quiet_seconds < 160


def test_a_directory_that_is_not_there(home: Path) -> None:
    with pytest.raises(Unseen, match="cannot be entered"):
        seen(["sh"], home / "gone")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount /proc with hidepid")
def test_a_host_that_hides_processes_proves_nothing(home: Path, tmp_path: Path) -> None:
    of = runner(directory=str(home))
    script = tmp_path / "look.sh"
    script.write_text(Processes.shell(of, world()))
    tmp_path.chmod(0o755)
    inside = f"mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups sh '{script}'"
    done = subprocess.run(
        ["unshare", "-m", "--pid", "--fork", "sh", "-c", inside], capture_output=True, text=True, check=False
    )
    if "mount" in done.stderr:
        pytest.skip("no /proc of one's own can be mounted here")
    with pytest.raises(Unseen):
        Processes.parse(output(done.stdout, done.returncode), of)
