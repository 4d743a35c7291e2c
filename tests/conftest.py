"""What the tests of the whole gate share: a GitHub on loopback, and a small tree to run in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import gate

# A slow machine is no failing property.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture
def github() -> Iterator[gate.GitHub]:
    with gate.github() as served:
        yield served


@pytest.fixture
def tree(tmp_path: Path, github: gate.GitHub) -> gate.Tree:
    """Left as it is, its verdict is a real `deploy` on prod-1."""
    (tmp_path / "tree").mkdir()
    gate.plant(tmp_path / "tree")
    return gate.Tree(tmp_path / "tree", gate.context(github.url))
