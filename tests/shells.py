"""Every shell that a host may have as `sh`. A shell that is missing here is skipped with the reason; .ci/run installs them."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from fixtures.facts.context import Context, Runner
from fixtures.facts.hostfacts import HOST_FACTS
from fixtures.facts.seen import Output
from tests.worlds import world

NAMES = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "ash"]}
SHELLS = [
    pytest.param(
        argv,
        id=name,
        marks=pytest.mark.skipif(not shutil.which(argv[0]), reason=f"{name} is not here; try: apt-get install {name}"),
    )
    for name, argv in NAMES.items()
]


@cache
def applets() -> str:
    """A directory with busybox's commands, as Alpine's /bin is: its own ps, df, stat, grep and awk, not GNU's."""
    place = tempfile.mkdtemp(prefix="applets-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    subprocess.run([shutil.which("busybox") or "busybox", "--install", "-s", place], check=True)
    return place


def environment(sh: list[str], path: str = "") -> dict[str, str]:
    """The environment for that shell: on busybox its own commands come first, the machine's others after."""
    found = path or (f"{applets()}{os.pathsep}{os.environ['PATH']}" if sh[0] == "busybox" else os.environ["PATH"])
    return {**os.environ, "LC_ALL": "C", "no_proxy": "*", "PATH": found}


def run(sh: list[str], fact: str, of: Runner, context: Context | None = None, path: str = "", **env: str) -> Output:
    """What the fact's section prints when that shell runs it here."""
    script = HOST_FACTS[fact].shell(of, context or world())
    done = subprocess.run(
        [shutil.which(sh[0]) or sh[0], *sh[1:], "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        env=environment(sh, path) | env,
        check=False,
    )
    return Output(
        "done",
        done.returncode,
        done.stdout.decode("utf-8", "backslashreplace"),
        done.stderr.decode("utf-8", "backslashreplace"),
    )


def commands(place: Path, *names: str, **scripts: str) -> str:
    """A PATH with these of the machine's commands, and these made here: nothing else is installed."""
    place.mkdir()
    # What is made here must not be written through a link to what is installed
    for name in {*names} - {name.replace("_", "-") for name in scripts}:
        if found := shutil.which(name):
            (place / name).symlink_to(found)
    for name, text in scripts.items():
        (place / name.replace("_", "-")).write_text(f"#!/bin/sh\n{text}\n")
        (place / name.replace("_", "-")).chmod(0o755)
    return str(place)
