"""The runner updates itself: prepares the new version, leaves a script that puts it in place, and ends with 3.

What a real update leaves is left here too (runner-host.md 1.1 and 4): `_work/_update`, `_diag/SelfUpdate-*.log` that ends
as `.succeed` or `.failed`, `bin` as an absolute link to `bin.VERSION`, `update.finished`. The new version is the old one
under another number.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

from lab.agent.build import version_of
from lab.agent.diaglog import Log

UPDATING = 3
"""The exit code that makes the service relaunch the listener after five seconds."""

# Runs when the listener has gone: nothing may be moved under a program that runs.
SCRIPT = r"""#!/bin/bash
root=$1 version=$2 listener=$3 work=$4
log=$root/_diag/SelfUpdate-$(date +%Y%m%d-%H%M%S).log
say() { printf '[%s] %s\n' "$(date '+%F %T-%4N')" "$1" >>"$log"; }
say "Waiting for Runner.Listener ($listener) to complete"
while kill -0 "$listener" 2>/dev/null; do sleep 0.1; done
if rm -rf "$root/bin.$version" && mv "$work/_update/bin" "$root/bin.$version" && ln -sfn "$root/bin.$version" "$root/bin"; then
    say 'Update succeed'
    mv "$log" "$log.succeed"
    touch "$root/update.finished"
else
    say "Can't move $work/_update/bin to $root/bin.$version"
    mv "$log" "$log.failed"
fi
rm -rf "$work/_update"
"""


def begin(root: Path, work: Path, log: Log, version: str) -> None:
    """Leaves the script running, which waits for this very process to end."""
    log.say("Runner update in progress, do not shutdown runner.")
    log.say(f"Downloading {version} runner")
    place = work / "_update"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(
        (root / "bin").resolve(), place / "bin", symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    build = place / "bin" / "Runner.Listener.deps.json"
    build.write_text(build.read_text("utf-8").replace(version_of(root), version), "utf-8")
    log.say("Waiting for current job finish running.")
    log.say("Generate and execute update script.")
    script = work / "_update.sh"
    script.write_text(SCRIPT, "utf-8")
    subprocess.Popen(
        ["bash", str(script), str(root), version, str(os.getpid()), str(work)],
        stdin=subprocess.DEVNULL,
        # The service waits for our output to close before it looks at our exit code.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    log.say("Runner will exit shortly for update, should be back online within 10 seconds.")
    time.sleep(0.1)
