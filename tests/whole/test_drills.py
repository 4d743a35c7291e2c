"""Drills of the lab, as a person types them: through the real selection, on real hosts, judged and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from lab import control, world
from lab.fault import SYSTEMD
from tests.whole.conftest import Checkout

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.xdist_group("lab")]
SECONDS = 400


@pytest.fixture(scope="module")
def drilled(lab: Checkout) -> Iterator[Checkout]:
    up = world.load(lab.root)
    assert up is not None
    if up.engine not in SYSTEMD:
        pytest.skip(f"the runners of this lab ({up.engine}) have no systemd, and so no switch")
    lab.lab("control")
    yield lab
    control.stop(up)


def kept(lab: Checkout) -> list[dict[str, object]]:
    path = lab.root / "reports" / "history" / "lab.drills.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


@pytest.mark.parametrize("how", ["service-stopped", "listener-hung", "killed-mid-job", "host-unreachable"])
def test_a_standby_takes_over_through_the_real_selection(drilled: Checkout, how: str) -> None:
    ran = drilled.run(["make", "drill-failover", f"HOW={how}", "CONTEXT=.lab/context.yml"], 0, SECONDS)
    (check,) = ran.verdict["checks"]
    assert (check["check"], check["outcome"]) == ("failover/takeover", "held")
    assert "started on prod-runner-02" in check["saw"] and "started on prod-runner-01" in check["saw"]
    assert "has it back" not in ran.out and ran.line.endswith("this is no clearance")
    assert kept(drilled)[-1]["outcome"] == "held" and kept(drilled)[-1]["runner"] == "prod-runner-02"
    page = (drilled.root / "reports" / "latest" / "report.html").read_text()
    assert "was dispatched" in page, "the card tells the story"
    again = drilled.gate("--seen=reports/latest/seen", profile="", code=0, context="")
    assert again.verdict["checks"][0]["saw"] == check["saw"], "a replay judges the same story, and acts no more"


def test_canaries_take_turns(drilled: Checkout) -> None:
    ran = drilled.run(["make", "drill-serialization", "CONTEXT=.lab/context.yml"], 0, SECONDS)
    assert ran.verdict["checks"][0]["outcome"] == "held" and "waits for the lock" in ran.out


def test_nothing_is_left_of_them(drilled: Checkout) -> None:
    """The night after says deploy on the primary, and nobody holds the drill lock."""
    ran = drilled.gate(profile="quick", code=0)
    assert ran.line == "√ deploy on prod-runner-01"
    up = world.load(drilled.root)
    assert up is not None
    names = {row["name"] for row in up.request("GET", f"/repos/{world.REPOSITORY}/actions/variables")["variables"]}
    assert "PREFLIGHT_DRILL_LOCK" not in names
    assert not (drilled.root / "reports" / "history" / "lab.drill.json").exists()
    assert datetime.fromisoformat(str(kept(drilled)[-1]["time"])) <= datetime.now(UTC)
