"""What the tests of the whole gate share: a GitHub on loopback, and a small tree to run in.

pytest loads this file also for the gate's own runs, wherever the value of an option stands apart (`--profile quick`): it
must load where the tests' packages are not installed, and be quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests import gate

with suppress(ModuleNotFoundError):
    from hypothesis import settings

    # A slow machine is no failing property.
    settings.register_profile("house", deadline=None)
    settings.load_profile("house")


@pytest.fixture
def github() -> Iterator[gate.GitHub]:
    from tests import gate

    with gate.github() as served:
        yield served


@pytest.fixture
def tree(tmp_path: Path, github: gate.GitHub) -> gate.Tree:
    """Left as it is, its verdict is a real `deploy` on prod-1."""
    from tests import gate

    (tmp_path / "tree").mkdir()
    gate.plant(tmp_path / "tree")
    return gate.Tree(tmp_path / "tree", gate.context(github.url))
