"""One lab for the tests of the whole: a copy of this checkout, with hosts of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import world
from lab.copy import copy_checkout
from lab.world import Lab

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    verdict: dict[str, Any]

    @property
    def line(self) -> str:
        return self.out.strip().splitlines()[-1] if self.out.strip() else ""


class Checkout:
    """A copy of the working tree in which commands run as a person's would: nothing of this run's environment leaks in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.token = ""

    def run(
        self, command: list[str], code: int | None = 0, seconds: float = 90, environ: Mapping[str, str] | None = None
    ) -> Ran:
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("PYTEST_", "PREFLIGHT_", "GITHUB_", "RUNNER_", "COV_"))
        }
        clean |= {
            "PATH": f"{self.root / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        } | dict(environ or {})
        done = subprocess.run(
            command,
            cwd=self.root,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
            text=True,
        )
        assert code is None or done.returncode == code, f"{' '.join(command)} gave {done.returncode}:\n{done.stdout}"
        path = self.root / "reports" / "latest" / "verdict.json"
        return Ran(done.returncode, done.stdout, json.loads(path.read_text()) if path.is_file() else {})

    def lab(self, *argv: str, code: int | None = 0) -> str:
        return self.run([sys.executable, "-m", "lab", *argv], code).out

    def gate(
        self,
        *argv: str,
        code: int | None = None,
        profile: str = "quick",
        context: str = ".lab/context.yml",
        seconds: float = 90,
    ) -> Ran:
        profiled = ["--profile", profile] if profile else []
        return self.run([sys.executable, "-m", "pytest", *profiled, f"--context={context}", *argv], code, seconds)


@contextmanager
def lab_of_its_own(place: Path) -> Iterator[tuple[Checkout, Lab]]:
    """With a control runner, for what is pushed, ordered or deployed, which would be others' history."""
    checkout = copied(place / "checkout")
    checkout.lab("up")
    try:
        here = world.load(checkout.root)
        assert here is not None
        if not here.named:
            pytest.skip(f"needs hosts of their own; this lab is {here.engine}")
        checkout.lab("control")
        yield checkout, here
    finally:
        checkout.lab("down")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return copied(tmp_path_factory.mktemp("whole") / "checkout")


def copied(root: Path) -> Checkout:
    """A copy of this checkout in which everything is set up."""
    copy_checkout(ROOT, root)
    (root / ".venv" / "bin").mkdir(parents=True)
    for name, command in (("python", ""), ("python3", ""), ("pytest", "-m pytest ")):
        # Not a link: Python finds its packages by the place it was started from.
        program = root / ".venv" / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command}"$@"\n')
        program.chmod(0o755)
    for stamp in ("run", "dev"):
        (root / ".venv" / stamp).touch()
    return Checkout(root)


@pytest.fixture(scope="session")
def lab(checkout: Checkout) -> Iterator[Checkout]:
    """The checkout with its lab up and healthy. The engine is the best that this machine can do."""
    checkout.lab("up")
    checkout.token = (checkout.root / ".lab" / "token").read_text().strip()
    yield checkout
    checkout.lab("down")
