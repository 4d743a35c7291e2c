"""A recording is smaller than what was seen, and says the same."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import pytest

from fixtures import context, seen
from lab import record

LAB = """# Written by `python -m lab up` (engine nspawn), removed by `python -m lab down`.
version: 1
name: lab
github:
  api_url: http://10.77.7.254:8080
  repository: acme/widgets
  token: {file: token}
ssh:
  config: ssh_config
environment:
  name: production
"""


def test_a_row_loses_only_what_no_fact_reads() -> None:
    row = {
        "id": 7,
        "url": "https://api.github.com/x",
        "node_id": "y",
        "log_url": "https://github.com/acme/widgets/actions/runs/1/job/7",
        "repository": {"id": 1, "full_name": "acme/widgets"},
        "head_repository": None,
        "actor": {"login": "octocat", "id": 1, "avatar_url": "http://z"},
        "forms": {"url": "masked"},
    }
    assert record.pruned({"rows": [row]}) == {
        "rows": [
            {
                "id": 7,
                "log_url": row["log_url"],
                "head_repository": None,
                "actor": {"login": "octocat", "id": 1},
                "forms": {"url": "masked"},
            }
        ]
    }


@pytest.mark.parametrize(
    "value", [{}, [], {"a": []}, {"a": {"b": {"c": [1, {"d": [2]}], "e": "\u2028é"}}}, [None, 1.5]]
)
def test_lines_are_the_same_json(value: object) -> None:
    for depth in range(6):
        assert json.loads(record.spread(value, depth)) == value


def test_the_context_tells_nothing_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "context.yml").write_text(LAB)
    (tmp_path / "meta.json").write_text('{"format": 1, "context": "lab", "digest": "old"}')
    record.forget_machine(tmp_path)
    text = (tmp_path / "context.yml").read_text()
    assert text == (
        "version: 1\nname: recorded\ngithub:\n  api_url: http://10.77.7.254:8080\n  repository: acme/widgets\n"
        "  token: {env: PREFLIGHT_GITHUB_TOKEN}\nenvironment:\n  name: production\n"
    )
    meta = json.loads((tmp_path / "meta.json").read_text())
    assert meta == {"format": 1, "context": "recorded", "digest": hashlib.sha256(text.encode()).hexdigest()}


@pytest.mark.parametrize("directory", [record.HEALTHY, record.NIGHT], ids=["healthy", "night"])
def test_a_shipped_recording_is_small_and_whole(directory: Path) -> None:
    assert sum(path.stat().st_size for path in directory.rglob("*.json")) < 600_000
    assert seen.load(directory).hosts
    world = context.read(directory / "context.yml", date(2026, 11, 24))
    assert json.loads((directory / "meta.json").read_text())["digest"] == world.digest
