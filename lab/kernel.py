"""The one setting of the machine itself that many hosts need: how many inotify instances a user may have.

Every systemd takes several, all hosts' root is the machine's own, and a usual limit of 128 is reached by about ten hosts:
one that comes later boots half-way and says "Failed to create inotify object: Too many open files". The last lab of the
machine to go puts the old number back.
"""

import contextlib
from pathlib import Path

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
NOTE = Path("/run/runner-preflight-lab.inotify")
"""Holds the number there was, while any lab has raised it."""
ENOUGH = 4096
LABS = "runner-preflight-lab-*"


def raise_limit() -> None:
    """Call it while nobody else chooses (`network.choosing`), with the own run directory in place."""
    before = int(LIMIT.read_text())
    if before >= ENOUGH:
        return
    # Noted first: a kill between the two leaves a note that tells the truth.
    if not NOTE.exists():
        NOTE.write_text(f"{before}\n")
    # Where the machine's settings cannot be written, a few hosts boot all the same.
    with contextlib.suppress(OSError):
        LIMIT.write_text(f"{ENOUGH}\n")


def restore_limit() -> None:
    """Call it while nobody else chooses, when this lab's run directory is gone."""
    if not NOTE.exists() or any(NOTE.parent.glob(LABS)):
        return
    with contextlib.suppress(OSError):
        LIMIT.write_text(NOTE.read_text())
    NOTE.unlink()
