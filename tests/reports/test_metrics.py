"""metrics.prom, read by Prometheus' own parsers."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fixtures.errors import Refused
from reports import metrics, textfile
from reports.cards import plain
from tests.fixtures.runs import case
from tests.reports.hostile import BROKEN, PAYLOADS

NOW = datetime(2026, 11, 24, 3, 17, tzinfo=UTC)
DEPLOYS = [timedelta(seconds=s) for s in (60, 240, 300, 301, 700)]


def page(context: str = "production", deploys: list[timedelta] | None = None, **outcomes: Any) -> str:
    return metrics.text(case(**outcomes).judged(), context, "quick", NOW, 1.25, deploys)


def values(text: str) -> dict[tuple[str, str], float]:
    """By sample name and what tells its series apart."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            rest = ",".join(v for k, v in sample.labels.items() if k not in ("context", "profile", "severity"))
            assert (sample.labels["context"], sample.labels["profile"]) != ("", "")
            found[sample.name, rest] = sample.value
    return found


def test_what_held_is_one_and_what_did_not_is_nought() -> None:
    found = values(page(disk_room="broken", never_cut="unknown", one_lock="waived"))
    held = "runner_preflight_check_held"
    assert found[held, "runner-health/disk-room,prod-1"] == 0
    assert found[held, "runner-health/disk-room,prod-2"] == 1
    assert found[held, "serialization/never-cut,"] == 0
    assert found[held, "serialization/one-lock,"] == 1
    assert found["runner_preflight_checks", "unknown"] == 1


@pytest.mark.parametrize(
    ("outcomes", "word"), [({}, "deploy"), ({"never_cut": "broken"}, "hold"), ({"never_cut": "unknown"}, "unknown")]
)
def test_exactly_one_verdict_is_said(outcomes: dict[str, Any], word: str) -> None:
    found = values(page(**outcomes))
    said = {rest: value for (name, rest), value in found.items() if name == "runner_preflight_verdict"}
    assert {w for w, value in said.items() if value == 1} == {word}
    assert found["runner_preflight_last_run_timestamp_seconds", ""] == NOW.timestamp()
    assert found["runner_preflight_duration_seconds", ""] == 1.25


def test_deploys_fall_into_their_buckets() -> None:
    found = values(page(deploys=DEPLOYS))
    name = "runner_preflight_deploy_duration_seconds"
    counts = {rest: value for (n, rest), value in found.items() if n == f"{name}_bucket"}
    assert counts["300"] == 3
    assert counts["600"] == 4
    assert counts["+Inf"] == found[f"{name}_count", ""] == 5
    assert found[f"{name}_sum", ""] == 1601


def test_what_was_not_looked_at_is_no_metric() -> None:
    assert "deploy_duration" not in page(deploys=None)
    assert 'le="+Inf"} 0' in page(deploys=[])


@pytest.mark.parametrize("payload", [*PAYLOADS, *BROKEN])
def test_a_label_is_a_label(payload: str) -> None:
    labels = {s.labels["context"] for f in text_string_to_metric_families(page(context=payload)) for s in f.samples}
    assert labels == {plain(payload)}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool is installed: apt-get install prometheus")
def test_promtool_has_nothing_to_say() -> None:
    ran = subprocess.run(
        ["promtool", "check", "metrics"], input=page(deploys=DEPLOYS), capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_the_last_hour_is_told_only_by_who_looked() -> None:
    assert "last_hour" not in page()
    text = metrics.text(case().judged(), "w", "nightly", NOW, 1, None, {"success": 2, "failure": 4})
    assert values(text)["runner_preflight_deploys_last_hour", "failure"] == 4


def test_the_collectors_file_is_whole_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "metrics.prom").write_text(page('od"d/na\\me'))
    put = textfile.put(tmp_path / "metrics.prom", tmp_path)
    assert put.name == "runner-preflight-od%5C%22d%2Fna%5C%5Cme-quick.prom" and put.read_text() == page('od"d/na\\me')
    assert put.stat().st_mode & 0o777 == 0o644 and not list(tmp_path.glob("*.new"))
    assert textfile.main([str(tmp_path / "none"), "--reports", str(tmp_path)]) == 4
    (tmp_path / "metrics.prom").write_text("up 1\n")
    with pytest.raises(Refused, match="no metrics of this suite"):
        textfile.put(tmp_path / "metrics.prom", tmp_path)
