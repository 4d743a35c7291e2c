"""The shells that a host may have: what a section prints is tried under each."""

from __future__ import annotations

import pytest

from tests.shells import SHELLS


@pytest.fixture(params=SHELLS, ids=" ".join)
def sh(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)
