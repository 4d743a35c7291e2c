"""The canary's log as the lab's runner agent would write it: its script, run by bash, heard and masked by the agent's own code."""

import functools
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from lab.agent.masker import Masker

WORKFLOW = Path(__file__).resolve().parent.parent / ".github" / "workflows" / "secret-canary.yml"


@functools.cache
def script() -> str:
    """What the canary's step runs."""
    found: Any = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    return str(found["jobs"]["canary"]["steps"][0]["run"])


@functools.cache
def said(run: int, attempt: int) -> tuple[str, ...]:
    """What the script prints in that run, before anybody masks it."""
    env = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "GITHUB_RUN_ID": str(run),
        "GITHUB_RUN_ATTEMPT": str(attempt),
    }
    done = subprocess.run(["bash", "-e", "-c", script()], env=env, capture_output=True, timeout=30, check=True)
    return tuple(done.stdout.decode("utf-8").splitlines())


def masked(run: int, attempt: int, off: frozenset[str] = frozenset()) -> list[str]:
    """The lines of the log, as a runner writes them that lacks the rules named in `off`."""
    # Imported here: the stand-in needs the agent only for this.
    from lab.agent.told import Told

    told = Told(None, 0, "", Masker(off), None, [])  # type: ignore[arg-type]
    for line in said(run, attempt):
        told.heard(line)
    return [line.partition(" ")[2] for line in told.lines]
