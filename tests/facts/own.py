"""This machine as a runner host, and whoever runs the tests as its runner."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace
from pathlib import Path
from typing import Any

from fixtures.facts.context import Runner
from tests.worlds import runner

ME = pwd.getpwuid(os.getuid()).pw_name


def at(home: Path, **changes: Any) -> Runner:
    return replace(runner(supervisor="process", user=ME, **changes), directory=str(home))
