"""The suite as the lab meets it: a command, an exit code, and verdict.json."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab import world
from lab.engine import choose
from lab.process import LabError

SECONDS = 120
DRILL_SECONDS = 600


@dataclass(frozen=True)
class Said:
    """What one run of the gate said. `broken` and `unknown` hold names as faults write them: `check` or `check[runner]`."""

    code: int
    word: str
    line: str
    runner: str
    broken: frozenset[str]
    unknown: frozenset[str]
    crashed: frozenset[str]
    checks: frozenset[str]
    warning: frozenset[str] = frozenset()
    """The checks that warn, and let a deploy go on."""


def lab(*argv: str) -> None:
    """A verb of the lab's own command, which finds root by itself where it needs it."""
    done = subprocess.run([sys.executable, "-m", "lab", *argv], cwd=world.ROOT, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise LabError(f"python -m lab {' '.join(argv)} ended with {done.returncode}")


def chosen_engine() -> str:
    """The engine of the lab that is up, or that `up` would choose."""
    up = world.load()
    return up.engine if up else choose(os.environ.get("LAB_ENGINE") or None).engine


def gate(profile: str, reports: Path, *argv: str, quiet: bool = False) -> Said:
    """Runs the gate against this checkout's lab, or the recording that `argv` names with `--seen=`.

    Raises LabError when the run leaves no verdict.
    """
    return called([f"--profile={profile}"], reports, *argv, quiet=quiet)


def drill(reports: Path, *argv: str, quiet: bool = False) -> Said:
    """Runs the drills that `argv` selects: they act on this checkout's lab. A watch only looks, and is called by itself."""
    watches = any(option.startswith("--watch") for option in argv)
    return called([] if watches else ["--drill"], reports, *argv, quiet=quiet, seconds=DRILL_SECONDS)


def together(one: Said, other: Said) -> Said:
    """What two runs said, with the word and the line of the first."""
    return replace(
        one,
        **{
            name: getattr(one, name) | getattr(other, name)
            for name in ("broken", "unknown", "crashed", "checks", "warning")
        },
    )


def called(how: list[str], reports: Path, *argv: str, quiet: bool, seconds: float = SECONDS) -> Said:
    # With "=", for a path that stands alone would move pytest's rootdir, and with it our options.
    options = [*how, f"--reports={reports}", *argv]
    if not any(option.startswith("--seen=") for option in argv):
        up = world.load()
        if up is None:
            raise LabError("no lab is up in this checkout; try: python -m lab up")
        options.append(f"--context={up.context_file}")
    command = [sys.executable, "-m", "pytest", *options]
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "PREFLIGHT_", "GITHUB_", "RUNNER_"))
    }
    out = subprocess.PIPE if quiet else None
    sys.stdout.flush()
    done = subprocess.run(
        command,
        cwd=world.ROOT,
        env=clean,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
    )
    try:
        verdict: dict[str, Any] = json.loads((reports / "verdict.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LabError(f"the gate left no verdict ({error}): {done.stdout or ''}") from None
    checks = verdict.get("checks", [])

    def names(outcome: str) -> frozenset[str]:
        return frozenset(
            f"{c['check']}[{c['runner']}]" if c["runner"] else c["check"] for c in checks if c["outcome"] == outcome
        )

    return Said(
        done.returncode,
        verdict["verdict"],
        verdict["line"],
        verdict["runner"],
        names("broken"),
        names("unknown"),
        names("crashed"),
        frozenset(c["check"] for c in checks),
        frozenset(c["check"] for c in checks if c["severity"] == "warns"),
    )
