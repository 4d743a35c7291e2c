"""The listener's log: what is read of it, what counts, and how it looks when it is cut, hidden, or hostile."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fixtures.facts.diag import TAIL_BYTES, Diag
from fixtures.facts.seen import Unseen
from tests.shells import run
from tests.worlds import output, runner, world

NAME = "Runner_20260820-100000-utc.log"
NOON = datetime(2026, 8, 20, 12, tzinfo=UTC).timestamp()
START = [
    "[2026-08-20 10:00:00Z INFO Listener] Version: 2.336.0",
    "[2026-08-20 10:00:01Z ERR  Terminal] WRITE ERROR: A session for this runner already exists.",
    "[2026-08-20 10:00:02Z INFO Terminal] WRITE LINE: Current runner version: '2.336.0'",
    "[2026-08-20 10:00:02Z INFO Terminal] WRITE LINE: 2026-08-20 10:00:02Z: Listening for Jobs",
]
CRASH = "[2026-08-20 11:00:00Z ERR  JobDispatcher] Return code 137 indicate worker encounter an unhandled exception or app crash, attach"
DAY = timedelta(days=1)


def read(*rows: str, size: int = 1000, now: float = NOON) -> Diag:
    text = "".join(f"{row}\n" for row in rows)
    return Diag.parse(output(f"now {now:.0f}\nlog {NAME}\nsize {size}\n{text}end of log\n"), runner())


def ids(found: Diag, window: timedelta = DAY) -> list[str]:
    return [hit.signature.id for hit in found.critical(window)]


def test_what_came_before_it_listened_does_not_count() -> None:
    found = read(*START)
    assert (found.listening, found.version, found.lines, ids(found)) == (True, "2.336.0", (), [])
    assert ids(read(*START, *START[:2])) == ["SES-CONFLICT"], "a new start that does not get so far counts"
    assert ids(read(*START, START[1], *START)) == [], "and is forgotten when it does"


def test_a_log_that_never_listened_counts_whole() -> None:
    found = read(*START[:2])
    assert not found.listening
    assert ids(found) == ["SES-CONFLICT"]
    assert "though it does not say that it listens" in repr(found)


def test_what_counts_is_said_with_its_meaning() -> None:
    (hit,) = read(*START, CRASH).critical(DAY)
    assert repr(hit).startswith("JOB-CRASH at 2026-08-20 11:00:00Z: Return code 137")
    assert "OOM killer" in repr(hit)


def test_what_is_older_than_the_window_does_not_count() -> None:
    assert ids(read(*START, CRASH), timedelta(minutes=61)) == ["JOB-CRASH"]
    assert ids(read(*START, CRASH), timedelta(minutes=59)) == []


def test_lines_that_go_on_have_the_time_of_the_first() -> None:
    found = read(
        *START,
        "[2026-08-20 11:30:00Z ERR  BrokerServer] Catch exception",
        "System.IO.IOException: No space left on device",
        "   at System.IO",
    )
    assert ids(found) == ["FS-ENOSPC"]
    assert [line.at for line in found.lines] == [NOON - 1800] * 3
    assert ids(found, timedelta(minutes=29)) == []


def test_a_line_of_no_time_counts_as_new() -> None:
    assert ids(read("System.IO.IOException: No space left on device"), timedelta(seconds=1)) == ["FS-ENOSPC"]
    assert ids(read("[9999-99-99 99:99:99Z ERR  X] No space left on device"), timedelta(seconds=1)) == ["FS-ENOSPC"]


def test_a_passing_trouble_is_over_after_a_good_job() -> None:
    good = "[2026-08-20 11:10:00Z INFO Terminal] WRITE LINE: 2026-08-20 11:10:00Z: Job build completed with result: Succeeded"
    bad = good.replace("Succeeded", "Failed")
    deleted = "[2026-08-20 11:00:00Z ERR  Terminal] WRITE ERROR: Runner OAuth token has been revoked. Shutting down."
    assert ids(read(*START, CRASH, good)) == []
    assert ids(read(*START, CRASH, bad)) == ["JOB-CRASH"]
    assert ids(read(*START, good, CRASH)) == ["JOB-CRASH"]
    assert ids(read(*START, deleted, good)) == ["REG-REVOKED"], "what lasts is not mended by a job"


def test_a_cut_log_loses_its_broken_first_line() -> None:
    found = read("left on device", CRASH, size=TAIL_BYTES + 1)
    assert [line.text[:6] for line in found.lines] == ["Return"]
    assert len(read("a whole line", CRASH, size=TAIL_BYTES).lines) == 2


@pytest.mark.parametrize(
    ("text", "code", "what"),
    [
        ("", 90, "cannot be entered"),
        ("", 91, "cannot be listed"),
        ("", 92, "cannot be read"),
        ("none\n", 0, "there is none"),
        ("now 1\nlog x\nsize 1\n", 0, "half an answer"),
        ("log x\nsize 1\nend of log\n", 0, "half an answer"),
        (f"now {'9' * 5000}\nlog x\nsize 1\nend of log\n", 0, "half an answer"),
    ],
)
def test_what_was_not_told_is_unseen(text: str, code: int, what: str) -> None:
    with pytest.raises(Unseen, match=what):
        Diag.parse(output(text, code), runner())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "a runner"
    (path / "_diag").mkdir(parents=True)
    return path


def write(home: Path, *rows: str, name: str = NAME) -> Path:
    path = home / "_diag" / name
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def seen(sh: list[str], home: Path) -> Diag:
    of = runner(directory=str(home))
    return Diag.parse(run(sh, "diag", of), of)


def test_the_newest_log_is_read_from_its_last_start(sh: list[str], home: Path) -> None:
    write(home, *START, CRASH, name="Runner_20260819-100000-utc.log")
    write(home, *START, CRASH, *START, CRASH.replace("137", "134"))
    for other in ("Worker_20260821-100000-utc.log", "Runner_x.log", "SelfUpdate-20260821-100000.log"):
        write(home, "No space left on device", name=other)
    found = seen(sh, home)
    assert (found.log, found.version, abs(found.now - time.time()) < 60) == (NAME, "2.336.0", True)
    assert [line.text[:15] for line in found.lines] == ["Return code 134"]


def test_a_long_log_is_cut_and_a_broken_byte_harms_nobody(sh: list[str], home: Path) -> None:
    path = write(home, *START, *["[2026-08-20 11:00:00Z INFO X] " + "x" * 100] * 2000, CRASH)
    with path.open("ab") as file:
        file.write(b"\xff\xfe\x00 broken\n")
    found = seen(sh, home)
    assert not found.listening and len(found.lines) < 700
    assert "Return code 137" in found.lines[-2].text


def test_a_log_that_forges_the_end_says_no_more(home: Path) -> None:
    write(home, *START, "end of log", "init 1", "none", CRASH)
    assert ids(seen(["sh"], home), timedelta(days=99_999)) == ["JOB-CRASH"]


def test_no_log_and_no_directory(sh: list[str], home: Path) -> None:
    with pytest.raises(Unseen, match="there is none"):
        seen(sh, home)
    (home / "_diag").rmdir()
    with pytest.raises(Unseen, match="cannot be entered"):
        seen(sh, home)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_a_directory_of_another_user_is_not_an_empty_one() -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own lets no other user in
        Path(place).chmod(0o755)
        (Path(place) / "_diag").mkdir()
        write(Path(place), *START)
        (Path(place) / "_diag").chmod(0o711)
        script = Diag.shell(runner(directory=place), world())
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        done = subprocess.run([*user, "sh", "-c", script], capture_output=True, text=True, check=False)
    with pytest.raises(Unseen, match="cannot be listed"):
        Diag.parse(output(done.stdout, done.returncode), runner())
