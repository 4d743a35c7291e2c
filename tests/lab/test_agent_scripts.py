"""The scripts in a runner's directory, run here: what the lab's own hosts have, without a host."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import tree
from lab.agent import diaglog
from lab.agent.diaglog import Log
from lab.world import Host, Lab

HOST = Host("prod-runner-01", 1, "10.0.0.1", 22, tree.DIRECTORY, "runner", "audit", tree.unit_name("prod-runner-01"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A runner's directory with its registration, without its programs."""
    for name in tree.SCRIPTS:
        shutil.copy(tree.AGENT / name, tmp_path)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "bin").mkdir()
    shutil.copy(tree.AGENT / "systemd.svc.sh.template", tmp_path / "bin")
    (tmp_path / ".runner").write_text("\ufeff" + tree.settings(Lab("nspawn", address="10.0.0.2", api_port=1), HOST, 7))
    return tmp_path


def call(home: Path, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(home / argv[0]), *argv[1:]], cwd=home, capture_output=True, text=True, check=False, timeout=30,
        env={"PATH": os.environ["PATH"], "RUNNER_ALLOW_RUNASROOT": "1", **environment},
    )  # fmt: skip


def test_config_writes_what_the_lab_lays_on_its_hosts(home: Path) -> None:
    done = call(home, "config.sh", LANG="C.UTF-8", GRADLE_HOME="/opt/gradle", EDITOR="vi")
    assert done.returncode == 0, done.stderr
    assert (home / "svc.sh").read_text() == tree.service_script(HOST)
    assert os.access(home / "svc.sh", os.X_OK)
    assert (home / ".env").read_text() == "LANG=C.UTF-8\nGRADLE_HOME=/opt/gradle\n"
    assert (home / ".path").read_text() == os.environ["PATH"] + "\n"
    again = call(home, "config.sh")
    assert (again.returncode, "already configured" in again.stderr) == (1, True)


def test_a_service_is_uninstalled_before_its_registration_goes(home: Path) -> None:
    (home / ".service").write_text(f"{HOST.unit}\n")
    refused = call(home, "config.sh", "remove")
    assert (refused.returncode, refused.stderr) == (1, "Uninstall service first\n")
    assert (home / ".runner").exists()
    (home / ".service").unlink()
    assert call(home, "config.sh", "remove").returncode == 0
    assert not (home / ".runner").exists()
    assert "python -m lab reset" in call(home, "config.sh").stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root is refused")
@pytest.mark.parametrize("name", ["config.sh", "run.sh"])
def test_root_is_refused(home: Path, name: str) -> None:
    done = call(home, name, RUNNER_ALLOW_RUNASROOT="")
    assert done.returncode == 1
    assert "with sudo" in done.stderr


@pytest.mark.parametrize(
    ("codes", "lives", "end"),
    [("0", 1, 0), ("1", 1, 0), ("5", 1, 0), ("7", 1, 0), ("139", 1, 0), ("2 0", 2, 0), ("3 1", 2, 0), ("2 4 0", 3, 0)],
)
def test_what_an_end_of_the_listener_means_without_a_service(home: Path, codes: str, lives: int, end: int) -> None:
    """`run.sh` begins again after 2, 3 and 4 alone."""
    (home / "safe_sleep.sh").write_text("#!/bin/sh\n")
    listener = home / "bin" / "Runner.Listener"
    listener.write_text(
        f'#!/bin/sh\necho "$*" >>lives\ntouch update.finished\nset -- {codes}\nshift $(($(wc -l <lives) - 1))\nexit $1\n'
    )
    listener.chmod(0o755)
    assert call(home, "run.sh", "--once").returncode == end
    assert (home / "lives").read_text() == "run --once\n" * lives
    assert (home / "run-helper.sh").read_text() == (home / "run-helper.sh.template").read_text()


def test_a_deprecated_version_ends_with_its_own_code_where_that_is_wanted(home: Path) -> None:
    listener = home / "bin" / "Runner.Listener"
    listener.write_text("#!/bin/sh\nexit 7\n")
    listener.chmod(0o755)
    assert call(home, "run.sh", ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE="1").returncode == 7


def test_a_log_of_eight_megabytes_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(f"Runner_20261126-00000{n}-utc.log" for n in range(9))
    monkeypatch.setattr(
        "lab.agent.diaglog.time.strftime", lambda form, *_when: next(names) if "utc.log" in form else "now"
    )
    old, other = tmp_path / "Runner_20261001-000000-utc.log", tmp_path / "Worker_20261001-000000-utc.log"
    for file in (old, other):
        file.write_text("")
        os.utime(file, (0, 0))
    log = Log(tmp_path, "Runner")
    assert not old.exists() and other.exists(), "each kind takes away its own"
    for _ in range(9):
        log.trace("Listener", "x" * (1 << 20))
    assert [(p.name, p.stat().st_size >> 20) for p in sorted(tmp_path.glob("Runner_*"))] == [
        ("Runner_20261126-000000-utc.log", 8),
        ("Runner_20261126-000001-utc.log", 1),
    ]


@pytest.mark.parametrize(("said", "means"), [("", 8), ("1", 1), ("0", 8), ("-3", 8), ("much", 8)])
def test_the_size_of_a_log_is_the_environments(said: str, means: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_LOGSIZE", said)
    assert diaglog.wanted("RUNNER_LOGSIZE", 8) == means
