"""A watch in the lab: runners fail under it, and it says so in time; a run that nobody takes is really cancelled."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lab import deaths, watchtable, world
from tests.whole.conftest import Checkout

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
TABLE = [sys.executable, "-m", "lab.watchtable", "--keep"]
MAY_CANCEL, MAY_READ = "a-token-that-may-cancel", "a-token-that-may-read"


@pytest.fixture
def here(lab: Checkout) -> world.Lab:
    found = world.load(lab.root)
    assert found is not None
    if found.engine != "nspawn":
        pytest.skip(f"hosts that fail in these ways need engine nspawn; this lab is {found.engine}")
    return found


@pytest.mark.slow
def test_failures_of_a_runner_are_told_of_in_time(lab: Checkout, here: world.Lab) -> None:
    """Three kinds; the table says of each whether its cause is the right one and came within five minutes of lab time."""
    ran = lab.run([*TABLE, *sorted(deaths.COMMON)], code=None, seconds=400)
    assert ran.code == 0, ran.out
    table = (lab.root / "reports/latest/watchtable.md").read_text()
    assert "3 of 3 as they should be" in table and "WRONG" not in table


@pytest.mark.slow
def test_twenty_and_more_kinds_are_told_of_in_time(lab: Checkout, here: world.Lab) -> None:
    assert len(deaths.DEATHS) >= 20
    ran = lab.run(TABLE, code=None, seconds=2400)
    assert ran.code == 0, ran.out


@pytest.fixture
def stuck(lab: Checkout, here: world.Lab) -> Iterator[tuple[dict[str, Any], str]]:
    """A deploy that no runner takes, and a context in which that is told of after 18 seconds."""
    for token, level in ((MAY_CANCEL, "write"), (MAY_READ, "read")):
        here.request("POST", "/_lab/tokens", {"token": token, "permissions": {"actions": level}})
    made = watchtable.job(here, next(death for death in deaths.DEATHS if death.name == "no runner wears the labels"))
    where = watchtable.context(here)
    yield made, str(where)
    here.request("DELETE", f"/_lab/jobs/{made['job_id']}")
    for file in (where, here.state / "watchtable.jsonl"):
        file.unlink(missing_ok=True)


def test_a_deploy_that_nobody_takes_is_cancelled_once_it_is_told_of(
    lab: Checkout, here: world.Lab, stuck: tuple[dict[str, Any], str]
) -> None:
    made, where = stuck
    watch = [sys.executable, "-m", "pytest", f"--watch={made['run_id']}", "--cancel", f"--context={where}"]
    refused = lab.run(watch, code=1, environ={"GITHUB_TOKEN": MAY_READ}).out
    assert "was not cancelled: GitHub answered 403" in refused and "actions=write" in refused
    assert here.request("GET", f"/_lab/jobs/{made['job_id']}")["state"] == "queued"
    told = lab.run(watch, code=1, environ={"GITHUB_TOKEN": MAY_CANCEL}).out
    said, done = told.index("no runner has taken it: no registered runner matches"), told.index("was cancelled")
    assert said < done, "what is wrong comes before the cancel, which may end the watch itself"
    assert "gh workflow run deploy-production.yml --repo acme/widgets --ref main" in told
    after = here.request("GET", f"/_lab/jobs/{made['job_id']}")
    assert (after["state"], after["conclusion"]) == ("done", "cancelled")
    lines = [json.loads(line) for line in (here.state / "watchtable.jsonl").read_text().splitlines()]
    assert [line["troubles"][0]["cause"] for line in lines] == ["not-taken", "not-taken"]
    again = lab.run(watch, code=5, environ={"GITHUB_TOKEN": MAY_CANCEL}).out
    assert "was cancelled before a runner took it" in again, "a run that is over is judged by its record"
    assert "no runner had, or will have, anything to do in this run" in again
