"""Fixtures that several tests of the lab share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.agents import Agent
from tests.lab.standin import started


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    (tmp_path / "github").mkdir()
    with started(tmp_path / "github") as github:
        github.order("PATCH", "jobs/limits", {"poll": 0.1})
        made = Agent(tmp_path, github)
        yield made
        made.end()
