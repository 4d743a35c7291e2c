"""A step's own process: started, heard, stopped; and what a job leaves behind."""

import contextlib
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

GRACE = ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5))
"""How a cancelled step is asked to end, and how long each asking is waited for, before it is killed."""

OOM_SCORE = "500"
Cancelled = threading.Event


def _offer_to_oom_killer() -> None:
    """Job processes die before the runner does (runner-host.md 2.2)."""
    try:
        Path("/proc/self/oom_score_adj").write_text(os.environ.get("PIPELINE_JOB_OOMSCOREADJ", OOM_SCORE), "ascii")
    except OSError:
        return


SHELLS = {
    "": ("bash", "-e"),
    "bash": ("bash", "--noprofile", "--norc", "-eo", "pipefail"),
    "sh": ("sh", "-e"),
    "python": ("python3",),
}
"""What runs a script's file, by the step's `shell` (GitHub: workflow syntax, `jobs.<job_id>.steps[*].shell`)."""


def run_script(
    script: str,
    temp: Path,
    workspace: Path,
    environment: dict[str, str],
    heard: Callable[[str], None],
    stop: Cancelled,
    until: float,
    shell: str = "",
) -> int:
    """A script from a file of its own in `_temp`. Its exit code, or a signal's as a shell gives it.

    Cut when `stop` is set, and at `until` (monotonic).
    """
    body = temp / f"{uuid.uuid4()}.sh"
    body.write_text(script + "\n", "utf-8")
    child = subprocess.Popen(
        [*SHELLS[shell], str(body)],
        cwd=workspace,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_offer_to_oom_killer,
    )
    reader = threading.Thread(target=_read, args=(child, heard), daemon=True)
    reader.start()
    while child.poll() is None:
        time.sleep(0.03)
        if stop.is_set() or time.monotonic() > until:
            _end(child)
            break
    # A background process may hold the output open; what it says later belongs to no step.
    reader.join(1.0)
    return 128 - child.returncode if child.returncode < 0 else child.returncode


def _read(child: "subprocess.Popen[bytes]", heard: Callable[[str], None]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        heard(line.decode("utf-8", "replace").rstrip("\r\n"))


def _end(child: "subprocess.Popen[bytes]") -> None:
    for number, seconds in (*GRACE, (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return


def leftovers(tracking: str) -> Iterator[tuple[int, str]]:
    """Processes that carry this job's RUNNER_TRACKING_ID: pid and name."""
    mark = f"RUNNER_TRACKING_ID={tracking}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name), (entry / "comm").read_text().strip()
        except OSError:
            continue
