"""The shells that a host may have, under each of which what a section prints is tried; and a runner's home."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shells import SHELLS


@pytest.fixture(params=SHELLS, ids=" ".join)
def sh(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "a runner's"
    (path / "bin").mkdir(parents=True)
    (path / "_diag").mkdir()
    (path / "_work" / "_temp").mkdir(parents=True)
    (path / "bin" / "Runner.Listener.deps.json").write_text('{"libraries": {"Runner.Listener/2.336.0": {}}}')
    return path
