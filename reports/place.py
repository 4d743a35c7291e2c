"""Where the reports of a run go, and what is only there for machines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixtures import options


def place_of(config: pytest.Config) -> Path | None:
    """The directory of this run's reports; None for what is no run of the gate, or only a worker of it."""
    if hasattr(config, "workerinput") or not options.judges(config):
        return None
    return options.place_of(config)


def history_of(config: pytest.Config) -> Path:
    """The directory of the runs before: one for the checkout, and one of its own for reports that go elsewhere."""
    given = config.option.reports
    return Path(given).absolute() / "history" if given else config.rootpath / "reports" / "history"


def write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}")
    aside.write_text(text, "utf-8")
    os.replace(aside, path)
